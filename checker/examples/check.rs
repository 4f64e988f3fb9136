use hundi_checker::world::*;
use stateright::{Checker, Model};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let name = args.get(1).cloned().unwrap_or_default();
    let flaw = args.get(2).cloned().unwrap_or_default();
    for (_, mut scenario) in hundi_checker::configs::all() {
        if let Ok(n) = std::env::var("CRASH") { scenario.crashes = match n.as_str() { "any" => Crashes::Any, "0" => Crashes::Never, n => Crashes::AtMost(n.parse().unwrap()) } }
        if std::env::var("NOCLOCK").is_ok() { scenario.clock.truncate(1) }

        if !name.is_empty() && scenario.name != name { continue }
        let start = std::time::Instant::now();
        let n = scenario.name;
        let mut bug = Bug::default();
        for f in hundi_bank_node::Flaw::ALL { if format!("{f:?}") == flaw { bug.bank = Some(*f) } }
        for f in hundi_coordinator::Flaw::ALL { if format!("{f:?}") == flaw { bug.coordinator = Some(*f) } }
        let model = hundi_checker::world::HundiModel::new(scenario, bug);
        let arena = model.arena.clone();
        let threads = if flaw.is_empty() {2} else {1};
        let checker = model.checker().threads(threads).finish_when(stateright::HasDiscoveries::AnyFailures).target_state_count(std::env::var("CAP").ok().and_then(|c| c.parse().ok()).unwrap_or(40_000_000)).spawn_bfs();
        std::thread::spawn(||());
        let checker = checker.join();
        println!("{n}: states {} unique {} depth {} {:?} nodes {:?}", checker.state_count(), checker.unique_state_count(), checker.max_depth(), start.elapsed(), arena.size());
        let found = checker.discoveries();
        for p in checker.model().properties() {
            if p.expectation == stateright::Expectation::Sometimes && !found.contains_key(p.name) { println!("   NOT SEEN: {}", p.name); }
        }
        for (name, path) in found {
            let actions = path.into_actions();
            let p = checker.model().properties().into_iter().find(|p| p.name == name).unwrap();
            if p.expectation == stateright::Expectation::Always {
                println!("  BROKEN {name} {}", actions.len());
                if args.len() > 3 { continue }
                let mut w = checker.model().initial();
                for a in actions {
                    if let Action::At{node, input: Input::Deliver(p)} = a { println!("     -> {}: {}", checker.model().scenario().node_name(node.into()), arena.packet(node.into(), p).text(checker.model().scenario())); } else { println!("     {a:?}"); }
                    w = checker.model().after(&w, a).unwrap();
                }
            }
        }
    }
}
