//! A violation as a story that a payments engineer understands: who was told what, what reached a disk, who crashed.

use std::sync::Arc;

use crate::world::{Action, Arena, HundiModel, Input, World};

/// The steps in words, numbered, each with what it made the node send.
#[must_use]
pub fn story(arena: &Arc<Arena>, actions: &[Action]) -> Vec<String> {
    let model = HundiModel::over(Arc::clone(arena));
    let mut world = model.initial();
    let mut lines = opening(&model);
    for (place, action) in actions.iter().enumerate() {
        lines.push(format!("{:>3}. {}", place + 1, step_text(&model, *action)));
        let Some(next) = model.after(&world, *action) else { break };
        lines.extend(news(&model, &world, &next).into_iter().map(|line| format!("       → {line}")));
        world = next;
    }
    lines
}

/// Who is there and what is to be paid.
fn opening(model: &HundiModel) -> Vec<String> {
    let scenario = model.scenario();
    let orders = scenario.orders.iter().map(|planned| {
        let order = &planned.order;
        let credits: Vec<String> =
            order.legs()[1..].iter().map(|leg| format!("{} to {}", leg.amount, leg.account)).collect();
        format!(
            "     {}: {} pays {}",
            scenario.order_name(&order.digest()),
            order.payer(),
            credits.join(" and ")
        )
    });
    std::iter::once(format!("     {}: {}", scenario.name, scenario.about)).chain(orders).collect()
}

/// One step in words.
#[must_use]
pub(crate) fn step_text(model: &HundiModel, action: Action) -> String {
    let scenario = model.scenario();
    let Action::At { node, input } = action else { return "time passes everywhere".to_owned() };
    let node = usize::from(node);
    let name = scenario.node_name(node);
    match input {
        Input::Tick => format!("time passes at {name}"),
        Input::Timer => format!("{name} wakes up and looks at what is unanswered"),
        Input::Sync => format!("{name} writes to disk what it recorded"),
        Input::Write => format!("{name} hands its disk what it recorded"),
        Input::Written => format!("{name}'s disk has written it"),
        Input::Crash => format!("{name} crashes: what is not on disk is lost"),
        Input::Restart => format!("{name} starts again from its disk"),
        Input::Chore(place) => {
            let chore = &scenario.chores[usize::from(place)].1;
            format!("{name}'s operator: {}", crate::world::chore_text(chore))
        }
        Input::Deliver(packet) => format!("{name} gets: {}", model.arena.packet(node, packet).text(scenario)),
    }
}

/// What is on the wires now and was not before.
fn news(model: &HundiModel, before: &World, after: &World) -> Vec<String> {
    let scenario = model.scenario();
    let outside = model.arena.outside();
    let mut lines = Vec::new();
    for wire in (0..scenario.nodes()).chain([outside]) {
        let mut fresh = after.wires[wire] & !before.wires[wire];
        while fresh != 0 {
            let packet = u8::try_from(fresh.trailing_zeros()).unwrap_or_default();
            fresh &= fresh - 1;
            let text = model.arena.packet(wire, packet).text(scenario);
            lines.push(match wire == outside {
                true => text,
                false => format!("to {}: {text}", scenario.node_name(wire)),
            });
        }
    }
    lines
}
