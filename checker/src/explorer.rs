//! The Explorer: stateright's web page, over states and steps in words.

use std::fmt;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use stateright::{Expectation, Model, Path, Property};

use crate::world::{Action, Bug, HundiModel, Input, Scenario, World, by_bit};

/// Serves the Explorer until the process ends. `ready` is called with the address once it is known to be free; port 0
/// has become a free port there.
///
/// # Errors
/// If the address is taken or not this machine's.
pub fn serve(
    scenario: Scenario,
    bug: Bug,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let address = TcpListener::bind(address)?.local_addr()?; // stateright panics on an address that is taken.
    ready(address);
    let model = Network(Arc::new(HundiModel::new(scenario, bug)));
    model.checker().serve(address);
    Ok(())
}

/// The model with states that know how to show themselves.
#[derive(Clone)]
struct Network(Arc<HundiModel>);

/// A state and its model.
#[derive(Clone)]
struct Shown {
    world: World,
    model: Arc<HundiModel>,
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.world == other.world
    }
}

impl Hash for Shown {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.world.hash(state);
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.model.world_text(&self.world))
    }
}

impl Network {
    fn show(&self, world: World) -> Shown {
        Shown { world, model: Arc::clone(&self.0) }
    }
}

impl Model for Network {
    type State = Shown;
    type Action = Action;

    fn init_states(&self) -> Vec<Shown> {
        self.0.init_states().into_iter().map(|world| self.show(world)).collect()
    }

    fn actions(&self, shown: &Shown, actions: &mut Vec<Action>) {
        self.0.actions(&shown.world, actions);
    }

    fn next_state(&self, shown: &Shown, action: Action) -> Option<Shown> {
        self.0.next_state(&shown.world, action).map(|world| self.show(world))
    }

    fn format_action(&self, action: &Action) -> String {
        self.0.action_text(*action)
    }

    fn format_step(&self, shown: &Shown, action: Action) -> Option<String> {
        let next = self.0.next_state(&shown.world, action)?;
        Some(self.0.step_text(&shown.world, action, &next).join("\n"))
    }

    fn as_svg(&self, path: Path<Shown, Action>) -> Option<String> {
        let actions = path.into_vec().into_iter().filter_map(|(_, action)| action).collect::<Vec<_>>();
        Some(diagram(&self.0, &actions))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let place =
            |name: &str| ALWAYS.iter().zip(0..).find(|(prop, _)| prop.name() == name).map(|(_, place)| place);
        let properties = self.0.properties().into_iter();
        let shown = properties.filter_map(|property| match property.expectation {
            Expectation::Always => Some(Property::always(property.name, IS_FINE[place(property.name)?])),
            _ => {
                let witnesses = &self.0.scenario().witnesses;
                let witness = witnesses.iter().find(|witness| witness.name() == property.name)?;
                Some(Property::sometimes(property.name, IS_SEEN[witness.place()]))
            }
        });
        shown.collect()
    }
}

const ALWAYS: &[crate::world::Prop] = crate::world::Prop::ALL;

fn is_fine(model: &Network, shown: &Shown, place: u32) -> bool {
    model.0.verdict(&shown.world).0 >> place & 1 == 0
}

fn is_seen(model: &Network, shown: &Shown, place: u32) -> bool {
    model.0.verdict(&shown.world).1 >> place & 1 != 0
}

type Condition = fn(&Network, &Shown) -> bool;
const IS_FINE: [Condition; 48] = by_bit!(is_fine, Network, Shown);
const IS_SEEN: [Condition; 48] = by_bit!(is_seen, Network, Shown);

/// The distance of two life lines, in pixels.
const COLUMN: usize = 170;
/// The distance of two steps.
const ROW: usize = 34;

/// The way so far as a sequence diagram: a life line for each node, an arrow for each message that arrived.
fn diagram(model: &HundiModel, actions: &[Action]) -> String {
    let scenario = model.scenario();
    let people = scenario.nodes();
    let column = |node: usize| 90 + node * COLUMN;
    let (width, height) = (column(people) + 90, 60 + actions.len() * ROW);
    let mut svg = format!(
        "<svg version='1.1' baseProfile='full' width='{width}' height='{height}' viewBox='0 0 {width} {height}' \
         xmlns='http://www.w3.org/2000/svg' font-family='sans-serif' font-size='11'>\
         <defs><marker id='arrow' markerWidth='8' markerHeight='8' refX='7' refY='3' orient='auto'>\
         <path d='M0,0 L7,3 L0,6 z'/></marker></defs>\
         <rect width='100%' height='100%' fill='#fff'/>"
    );
    for node in 0..=people {
        let name = if node < people { scenario.node_name(node) } else { "customers" };
        let x = column(node);
        let _ = write!(
            svg,
            "<text x='{x}' y='18' text-anchor='middle' font-weight='bold'>{name}</text>\
             <line x1='{x}' y1='26' x2='{x}' y2='{height}' stroke='#aaa'/>"
        );
    }
    for (row, action) in actions.iter().enumerate() {
        let y = 50 + row * ROW;
        let Action::At { node, input } = *action else {
            let _ = write!(svg, "<text x='8' y='{y}' fill='#666'>time passes</text>");
            continue;
        };
        let to = usize::from(node);
        let x = column(to);
        if let Input::Deliver(packet) = input {
            let packet = model.arena.packet(to, packet);
            let from = column(packet.sender(scenario).unwrap_or(people));
            let (text, middle) = (escape(&packet.text(scenario)), from.midpoint(x));
            let _ = write!(
                svg,
                "<line x1='{from}' y1='{y}' x2='{x}' y2='{y}' stroke='#000' marker-end='url(#arrow)'/>\
                 <text x='{middle}' y='{}' text-anchor='middle'>{text}</text>",
                y - 4
            );
        } else {
            let colour = if input == Input::Crash { "#c00" } else { "#06c" };
            let text = escape(&model.action_text(*action));
            let _ = write!(
                svg,
                "<circle cx='{x}' cy='{y}' r='4' fill='{colour}'/><text x='{}' y='{}' fill='{colour}'>{text}</text>",
                x + 8,
                y + 4
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
