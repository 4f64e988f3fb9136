use stateright::{Checker, Model};
fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    for scenario in hundi_checker::configs::all() {
        if !name.is_empty() && scenario.name != name { continue }
        let start = std::time::Instant::now();
        let n = scenario.name;
        let model = hundi_checker::world::HundiModel::new(scenario, Default::default());
        let arena = model.arena.clone();
        let checker = model.checker().threads(2).finish_when(stateright::HasDiscoveries::AnyFailures).spawn_bfs().join();
        println!("{n}: states {} unique {} depth {} {:?} nodes {:?}", checker.state_count(), checker.unique_state_count(), checker.max_depth(), start.elapsed(), arena.size());
        for (name, path) in checker.discoveries() {
            let actions = path.into_actions();
            println!("  {name} {}", actions.len());
            let p = checker.model().properties().into_iter().find(|p| p.name == name).unwrap();
            if p.expectation == stateright::Expectation::Always {
                let mut w = checker.model().initial();
                for a in actions {
                    if let hundi_checker::world::Action::At{node, input: hundi_checker::world::Input::Deliver(p)} = a { println!("     -> {}: {}", checker.model().scenario().node_name(node.into()), arena.packet(node.into(), p).text(checker.model().scenario())); } else { println!("     {a:?}"); }
                    w = checker.model().after(&w, a).unwrap();
                }
            }
        }
    }
}
