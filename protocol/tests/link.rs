//! Links over real sockets and TLS: who gets in, what gets through.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use common::world::*;
use common::*;
use hundi_protocol::*;

#[test]
fn messages_arrive_in_order_in_both_directions() {
    let world = World::new();
    let (c1, alpha) = (world.start("coordinator/c1"), world.start("bank/alpha"));
    let prepare = Message::Prepare {
        order: order(),
        votes: vec![verified(&order(), "beta", Decision::Yes).signed().clone()],
    };
    let resolve = Message::Resolve { order: order() };
    c1.link.send(&peer("bank/alpha"), vec![prepare.clone(), resolve.clone()]);
    assert_eq!(alpha.receive("coordinator/c1", 2), [prepare, resolve]);
    let vote = Message::Vote { vote: verified(&order(), "alpha", Decision::Yes).signed().clone() };
    alpha.link.send(&peer("coordinator/c1"), vec![vote.clone(); 5000]);
    assert_eq!(c1.receive("bank/alpha", 5000), vec![vote; 5000]);
    let stats = alpha.link.stats();
    assert_eq!((stats.messages_sent, stats.messages_dropped), (5000, 0));
    assert!(stats.writes < 100, "5000 messages took {} writes", stats.writes);
}

#[test]
fn a_restarted_peer_is_called_again_and_gets_what_waited() {
    let world = World::new();
    let c1 = world.start("coordinator/c1");
    let resolve = Message::Resolve { order: order() };
    c1.link.send(&peer("bank/alpha"), vec![resolve.clone()]);
    let alpha = world.start("bank/alpha");
    assert_eq!(alpha.receive("coordinator/c1", 1).len(), 1);
    alpha.shutdown();
    wait_until("the link is gone", || !c1.link.is_connected(&peer("bank/alpha")));
    c1.link.send(&peer("bank/alpha"), vec![resolve.clone(); 3]);
    let alpha = world.start("bank/alpha");
    assert_eq!(alpha.receive("coordinator/c1", 3).len(), 3);
}

#[test]
fn shutdown_sends_what_is_queued() {
    let world = World::new();
    let (c1, alpha) = (world.start("coordinator/c1"), world.start("bank/alpha"));
    c1.link.send(&peer("bank/alpha"), vec![Message::Resolve { order: order() }]);
    alpha.receive("coordinator/c1", 1);
    c1.link.send(&peer("bank/alpha"), vec![Message::Resolve { order: order() }; 20_000]);
    c1.shutdown();
    alpha.receive("coordinator/c1", 20_000);
}

#[test]
fn a_slow_node_slows_its_peer_and_loses_nothing_until_the_queue_is_full() {
    let world = World::new();
    let alpha = world.start_with("bank/alpha", Limits::default(), 1);
    let limits = Limits { queue_messages_max: 200_000, ..Limits::default() };
    let c1 = world.start_with("coordinator/c1", limits, 1);
    let count = 60_000;
    c1.link.send(&peer("bank/alpha"), vec![Message::Resolve { order: order() }; count]);
    std::thread::sleep(SECOND);
    // Only what fits sockets and buffers is on the way: the rest waits at the sender.
    assert!(c1.link.stats().messages_sent < count as u64 * 3 / 4, "{:?}", c1.link.stats());
    alpha.receive("coordinator/c1", count);
    assert_eq!(c1.link.stats().messages_dropped, 0);

    let gone = Limits { queue_messages_max: 10, ..Limits::default() };
    drop(c1);
    drop(alpha);
    let c1 = world.start_with("coordinator/c1", gone, 1);
    let numbered: Vec<_> = (0..25).map(|_| Message::Resolve { order: order() }).collect();
    c1.link.send(&peer("bank/beta"), numbered);
    assert_eq!(c1.link.stats().messages_dropped, 15);
}

#[test]
fn an_app_submits_and_hears_and_each_connection_gets_its_own_replies() {
    let world = World::new();
    let c1 = world.start("coordinator/c1");
    let identity = world.identity("app/shop");
    run(async {
        let connect = || Client::connect(&identity, Arc::clone(&world.network), c1_peer(), Limits::default());
        let (mut one, mut two) = (connect().await.unwrap(), connect().await.unwrap());
        one.send(vec![Message::Submit { order: order() }]).await.unwrap();
        two.send(vec![status(2)]).await.unwrap();
        for _ in 0..2 {
            let inbound = c1.inbox.recv_timeout(PATIENCE).unwrap();
            assert_eq!(inbound.peer, peer("app/shop"));
            let payment = match &inbound.messages[..] {
                [Message::Submit { order }] => order.digest(),
                [Message::Status { payment }] => *payment,
                other => panic!("{other:?}"),
            };
            let reply = Message::StatusReply { payment, status: PaymentStatus::Unknown };
            c1.link.reply(inbound.connection, vec![reply]);
        }
        let payment = |messages: Vec<Message>| match &messages[..] {
            [Message::StatusReply { payment, .. }] => *payment,
            other => panic!("{other:?}"),
        };
        assert_eq!(payment(one.receive().await.unwrap()), order().digest());
        assert_eq!(payment(two.receive().await.unwrap()), Digest([2; 32]));
        let to_all = Message::StatusReply { payment: Digest([9; 32]), status: PaymentStatus::Unknown };
        c1.link.send(&peer("app/shop"), vec![to_all]);
        assert_eq!(payment(one.receive().await.unwrap()), Digest([9; 32]));
        assert_eq!(payment(two.receive().await.unwrap()), Digest([9; 32]));
        one.close().await;
        c1.shutdown();
        assert!(matches!(two.receive().await, Err(LinkError::Disconnected(_))));
        assert!(two.receive().await.is_err());
        assert!(two.send(vec![status(1)]).await.is_err());
    });
}

fn c1_peer() -> &'static Peer {
    static PEER: std::sync::OnceLock<Peer> = std::sync::OnceLock::new();
    PEER.get_or_init(|| peer("coordinator/c1"))
}

#[test]
fn what_a_role_may_not_send_closes_the_link_and_reaches_nobody() {
    let world = World::new();
    let alpha = world.start("bank/alpha");
    // (who sends, what)
    let vote = Message::Vote { vote: verified(&order(), "beta", Decision::Yes).signed().clone() };
    let admin = |account: &str| {
        let action = AdminAction::Balance { account: account.parse().unwrap() };
        Message::Admin(AdminRequest { request: 1, action })
    };
    let cases = [
        ("coordinator/c1", vote),
        ("coordinator/c1", Message::Submit { order: order() }),
        ("bank/beta", Message::Prepare { order: order(), votes: vec![] }),
        ("app/shop", Message::Resolve { order: order() }),
        ("app/shop", admin("alice")),
        ("operator/beta", admin("alice")),
    ];
    for (i, (who, message)) in cases.into_iter().enumerate() {
        let identity = world.identity(who);
        run(async {
            let to = peer("bank/alpha");
            let mut client =
                Client::connect(&identity, Arc::clone(&world.network), &to, Limits::default()).await.unwrap();
            client.send(vec![message]).await.unwrap();
            assert!(client.receive().await.is_err(), "{who}");
        });
        wait_until("it is counted", || alpha.link.stats().peers_misbehaved == i as u64 + 1);
    }
    alpha.hears_nothing();
    // An operator of its own bank gets through.
    let identity = world.identity("operator/alpha");
    run(async {
        let to = peer("bank/alpha");
        let client =
            Client::connect(&identity, Arc::clone(&world.network), &to, Limits::default()).await.unwrap();
        client.send(vec![admin("alice")]).await.unwrap();
        alpha.receive("operator/alpha", 1);
    });
}

/// Connects to alpha as `who` of another network's folder, which claims to be of this one.
fn connect_from(world: &World, folder: &Path, to: &Peer) -> Result<(), LinkError> {
    let other = Network::load(&folder.parent().unwrap().join(NETWORK_FILE)).unwrap();
    let identity = Identity::load(folder, &other).unwrap();
    // Believes in our authority, so that the refusal is the other side's.
    run(async {
        Client::connect(&identity, Arc::clone(&world.network), to, Limits::default()).await.map(drop)
    })
}

#[test]
fn strangers_and_impostors_are_refused() {
    let world = World::new();
    let alpha = world.start("bank/alpha");
    let to = peer("bank/alpha");
    // Another network's authority, the same names.
    let foreign = tempfile::tempdir().unwrap();
    init(foreign.path(), &plan(&world.listeners)).unwrap();
    let refused = connect_from(&world, &foreign.path().join("coordinator-c1"), &to).unwrap_err();
    assert!(refused.to_string().contains("refused us"), "{refused}");

    // A certificate of our authority for a name that the network does not list, or lists with another certificate.
    let authority = Authority::open(&world.network, &world.dir.path().join("authority.key")).unwrap();
    for (who, after) in [("coordinator/c9", 3600), ("coordinator/c1", 3600), ("coordinator/c1", 1)] {
        let forged = tempfile::tempdir().unwrap();
        let listed = who == "coordinator/c1" && after == 1;
        let mut text = world.network.to_toml();
        let folder = forged.path().join("node");
        std::fs::create_dir(&folder).unwrap();
        let from = if listed { SystemTime::now() - 100 * SECOND } else { SystemTime::now() };
        let issued =
            authority.issue(&peer(who), &[1; 32], Validity { from, length: after * SECOND }).unwrap();
        std::fs::write(folder.join("tls.pem"), &issued.certificate_pem).unwrap();
        write_secret(&folder.join("tls.key"), issued.key_pem.as_bytes()).unwrap();
        let old = world.network.node(&peer("coordinator/c1")).unwrap().certificate.unwrap().to_string();
        text = text
            .replace(&old, &Digest::of(&issued.certificate_der).to_string())
            .replace("\"c1\"", &format!("{:?}", who.split('/').nth(1).unwrap()));
        std::fs::write(forged.path().join(NETWORK_FILE), text).unwrap();
        let refused = connect_from(&world, &folder, &to).unwrap_err();
        assert!(refused.to_string().contains("refused us"), "{who} {refused}");
    }
    // We call beta where alpha answers.
    let elsewhere = world.network.node(&to).unwrap().address.clone().unwrap();
    let network = Arc::new((*world.network).clone().with_address(&peer("bank/beta"), elsewhere));
    let identity = world.identity("coordinator/c1");
    let refused = run(async {
        Client::connect(&identity, network, &peer("bank/beta"), Limits::default()).await.unwrap_err()
    });
    let expected = PeerRefused::OtherPeer { expected: peer("bank/beta"), found: to };
    assert_eq!(refused, LinkError::PeerMisbehaved(Misbehaviour::Refused(expected)));
    wait_until("all are counted", || alpha.link.stats().handshakes_failed == 5);
    alpha.hears_nothing();
}
