//! The way to a violation, to read, to keep and to walk again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::world::{Action, Ending, HundiModel, Prop, World};

/// The way from the beginning to a state in which a property does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The configuration.
    pub config: String,
    /// The deliberate bug, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// The orders that customers gave, as bits by their place.
    pub orders: u8,
    /// The property that does not hold at the end.
    pub property: String,
    /// What there is at the beginning: orders, money, who may do what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// The steps.
    pub steps: Vec<Told>,
    /// What should be so at the end, what is, and what it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// One step of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What happened: the line by which it is found again.
    pub event: String,
    /// What it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<String>,
}

impl Story {
    /// Tells the way that these actions take.
    ///
    /// # Panics
    /// If an action is not possible where it stands: they come from a search of this model.
    #[must_use]
    pub fn tell(
        model: &HundiModel,
        mutant: Option<&str>,
        property: &str,
        orders: u8,
        actions: &[Action],
    ) -> Story {
        let mut world = model.initial(orders);
        let (mut steps, mut before) = (Vec::new(), world);
        for action in actions {
            let next = model.after(&world, *action).expect("the search took this step");
            let then = model.step_text(&world, *action, &next);
            steps.push(Told { event: model.action_text(*action), then });
            (before, world) = (world, next);
        }
        let broken = Prop::ALL.iter().find(|prop| prop.name() == property);
        Story {
            config: model.scenario().name.to_owned(),
            mutant: mutant.map(ToOwned::to_owned),
            orders,
            property: property.to_owned(),
            given: model.beginning(orders),
            steps,
            ending: broken.map(|prop| model.ending(&before, &world, orders, *prop)),
        }
    }

    /// Walks the story in a model, of the same configuration, and gives what it meets.
    ///
    /// A step that is not possible in this model, or changes nothing in it, is passed over and counted: the model may
    /// be another than the one in which the story was found.
    #[must_use]
    pub fn walk(&self, model: &HundiModel) -> Walk {
        self.walk_with(model, &mut |_, _| {})
    }

    /// [`walk`](Self::walk), with a look at each step that is taken and at the world after it.
    pub(crate) fn walk_with(&self, model: &HundiModel, look: &mut dyn FnMut(Action, &World)) -> Walk {
        let mut walk =
            Walk { world: model.initial(self.orders), taken: Vec::new(), passed_over: 0, broken: None };
        walk.look(model);
        for told in &self.steps {
            let mut actions = Vec::new();
            stateright::Model::actions(model, &walk.world, &mut actions);
            let action = actions.into_iter().find(|action| model.action_text(*action) == told.event);
            match action.and_then(|action| Some((action, model.after(&walk.world, action)?))) {
                Some((action, next)) => {
                    walk.world = next;
                    walk.taken.push(action);
                    walk.look(model);
                    look(action, &walk.world);
                }
                None => walk.passed_over += 1,
            }
        }
        walk
    }
}

/// A story as it went in a model.
#[derive(Debug)]
pub struct Walk {
    /// Where it ended.
    pub world: World,
    /// The steps that were possible.
    pub taken: Vec<Action>,
    /// The steps that were not.
    pub passed_over: usize,
    /// The first property that did not hold on the way, and after how many steps.
    pub broken: Option<(Prop, usize)>,
}

impl Walk {
    fn look(&mut self, model: &HundiModel) {
        if self.broken.is_none() {
            let broken = Prop::of_bits(model.verdict(&self.world).0).find(|prop| model.applies(*prop));
            self.broken = broken.map(|prop| (prop, self.taken.len()));
        }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.given {
            writeln!(f, "      {line}")?;
        }
        for (place, told) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {}", place + 1, told.event)?;
            for line in &told.then {
                writeln!(f, "        {line}")?;
            }
        }
        write!(f, "  broken:   {}", self.property)?;
        if let Some(Ending { expected, found, harm }) = &self.ending {
            write!(f, "\n  expected: {expected}")?;
            for (place, line) in found.iter().enumerate() {
                write!(f, "\n  {:<9} {line}", if place == 0 { "found:" } else { "" })?;
            }
            write!(f, "\n  so:       {harm}")?;
        }
        Ok(())
    }
}
