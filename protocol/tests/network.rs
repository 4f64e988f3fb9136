//! Making a network, and reading it back: files, modes, and errors that say what to do.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::*;
use hundi_protocol::*;

fn plan(seed: Option<[u8; 32]>) -> Plan {
    let at = |name: &str, port: u16| Member { name: name.to_owned(), address: format!("127.0.0.1:{port}") };
    let bank_at = |m: Member<String>| Member { name: bank(&m.name), address: m.address };
    Plan {
        network: "demo".to_owned(),
        banks: vec![bank_at(at("alpha", 1)), bank_at(at("beta", 2))],
        coordinators: vec![Member { name: "c1".parse().unwrap(), address: "localhost:3".to_owned() }],
        apps: vec!["shop".parse().unwrap()],
        seed,
        now: SystemTime::now(),
        valid_for: Duration::from_secs(3600),
    }
}

fn files(dir: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            let path = entry.path().strip_prefix(dir.parent().unwrap()).unwrap().to_owned();
            found.push((path.display().to_string(), entry.metadata().unwrap().permissions().mode() & 0o777));
        }
    }
    found.sort();
    found
}

#[test]
fn init_makes_everything_and_every_secret_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), &plan(None)).unwrap();
    let network = Network::load(&dir.path().join(NETWORK_FILE)).unwrap();
    assert_eq!(made, network);
    assert_eq!(network.banks().collect::<Vec<_>>(), [bank("alpha"), bank("beta")]);
    let mut secrets = 0;
    for (path, mode) in files(dir.path()) {
        if path.ends_with(".key") {
            assert_eq!(mode, 0o600, "{path}");
            secrets += 1;
        }
    }
    assert_eq!(secrets, 1 + 6 + 2); // The authority's, one for each node, and the banks' for statements.
    for (peer, _) in network.nodes() {
        let folder = dir.path().join(Identity::folder(peer));
        let identity = Identity::load(&folder, &network).unwrap();
        assert_eq!(identity.peer(), peer);
        match peer.as_bank() {
            Some(bank) => {
                let signer = identity.load_signer(&folder, &network).unwrap();
                assert_eq!(network.directory().get(&bank), Some(&signer.public()));
            }
            None => assert!(identity.load_signer(&folder, &network).is_err()),
        }
    }
    // What is there is never overwritten.
    let error = init(dir.path(), &plan(None)).unwrap_err().to_string();
    assert!(error.contains("there already"), "{error}");
}

#[test]
fn keys_follow_from_a_seed_and_differ_without_one() {
    let keys = |seed| {
        let dir = tempfile::tempdir().unwrap();
        let network = init(dir.path(), &plan(seed)).unwrap();
        let tls = std::fs::read(dir.path().join("bank-alpha/tls.key")).unwrap();
        (network.directory(), tls)
    };
    assert_eq!(keys(Some([1; 32])), keys(Some([1; 32])));
    assert_ne!(keys(Some([1; 32])), keys(Some([2; 32])));
    let (one, two) = (keys(None), keys(None));
    assert!(one.0 != two.0 && one.1 != two.1);
    let (directory, _) = keys(Some([1; 32]));
    assert_ne!(directory.get(&bank("alpha")), directory.get(&bank("beta")));
}

#[test]
fn bad_plans_are_refused() {
    let check = |change: fn(&mut Plan), because: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut plan = plan(None);
        change(&mut plan);
        let error = init(dir.path(), &plan).unwrap_err().to_string();
        assert!(error.contains(because), "{error:?} does not say {because:?}");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is left that would be in the way"
        );
    };
    check(|p| p.banks.clear(), "at least one bank");
    check(|p| p.banks.push(p.banks[0].clone()), "bank/alpha is named twice");
    check(|p| p.coordinators[0].address = "nowhere".to_owned(), "host:port");
}

#[test]
fn exposed_and_wrong_secrets_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let network = init(dir.path(), &plan(None)).unwrap();
    let folder = dir.path().join("bank-alpha");
    let load = || -> Result<Signer, NetworkError> {
        Identity::load(&folder, &network)?.load_signer(&folder, &network)
    };
    let refused = |because: &str| {
        let error = load().unwrap_err().to_string();
        assert!(error.contains(because) && !error.contains('\n'), "{error:?} does not say {because:?}");
    };
    load().unwrap();
    for file in ["tls.key", "sign.key"] {
        let path = folder.join(file);
        for mode in [0o640, 0o604, 0o620, 0o602, 0o660] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            refused(&format!("{file}: the key can be read by others"));
            refused("chmod 600");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    load().unwrap();
    let other = dir.path().join("bank-beta");
    std::fs::copy(other.join("sign.key"), folder.join("sign.key")).unwrap();
    refused("not the key that network.toml names");
    std::fs::write(folder.join("sign.key"), "nonsense").unwrap();
    refused("64 lower-case hex digits");
    std::fs::write(folder.join("tls.key"), "nonsense").unwrap();
    refused("tls.key: not a private key");
    std::fs::remove_file(folder.join("tls.key")).unwrap();
    refused("tls.key: No such file");
    let foreign = tempfile::tempdir().unwrap();
    init(foreign.path(), &plan(None)).unwrap();
    std::fs::copy(foreign.path().join("bank-alpha/tls.pem"), folder.join("tls.pem")).unwrap();
    refused("tls.pem: not the certificate that network.toml names");
    std::fs::write(folder.join("tls.pem"), network.authority_pem()).unwrap();
    refused("tls.pem: not a certificate of a node");
    std::fs::write(folder.join("tls.pem"), "nonsense").unwrap();
    refused("tls.pem: not a certificate");
    assert!(write_secret(&folder.join("tls.pem"), b"x").is_err(), "nothing is overwritten");
}

#[test]
fn a_bad_network_file_is_refused_in_one_line_that_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let network = init(dir.path(), &plan(Some([1; 32]))).unwrap();
    let good = network.to_toml();
    assert_eq!(Network::from_toml(&good).unwrap(), network);
    let key = network.directory().get(&bank("alpha")).unwrap().to_string();
    let certificate = network.node(&Peer::bank(bank("alpha"))).unwrap().certificate.unwrap().to_string();
    let path = dir.path().join("changed.toml");
    let check = |from: &str, to: &str, because: &str| {
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let error = Network::load(&path).unwrap_err().to_string();
        assert!(error.contains("changed.toml: "), "{error}");
        assert!(error.contains(because) && !error.contains('\n'), "{error:?} does not say {because:?}");
    };
    check("network = \"demo\"", "", "missing field `network`");
    check("network = \"demo\"", "network = 7", "line 1: invalid type");
    check("network = \"demo\"", "network = \"demo", "line 1");
    check("network = \"demo\"", "netwerk = \"demo\"", "unknown field `netwerk`");
    check("BEGIN CERTIFICATE", "BEGIN NONSENSE", "`authority` is not a certificate");
    check("name = \"alpha\"", "name = \"Alpha\"", "[[bank]] Alpha: `name`: bad node name");
    check("name = \"alpha\"", "name = \"beta\"", "[[bank]] beta: the name is there twice");
    check("name = \"alpha\"", "name = \"gamma\"", "[[operator]] alpha: an operator has the name of its bank");
    check("address = \"127.0.0.1:1\"\n", "", "[[bank]] alpha: `address` is missing");
    check("127.0.0.1:1", "127.0.0.1", "[[bank]] alpha: `address` \"127.0.0.1\": expected host:port");
    check("127.0.0.1:1", "127.0.0.1:99999", "expected host:port");
    check(&format!("key = \"{key}\"\n"), "", "[[bank]] alpha: `key` is missing");
    check(&key, &key[1..], "[[bank]] alpha: `key`: not a usable Ed25519 public key");
    check(&key, &format!("01{}", "00".repeat(31)), "small order");
    check(&certificate, "xyz", "[[bank]] alpha: `certificate_sha256`");
    check("name = \"c1\"", &format!("name = \"c1\"\nkey = \"{key}\""), "[[coordinator]] c1: only banks sign");
    check(
        "name = \"shop\"",
        "name = \"shop\"\naddress = \"x:1\"",
        "[[app]] shop: only banks and coordinators listen",
    );
    let error = Network::load(&dir.path().join("absent.toml")).unwrap_err().to_string();
    assert!(error.contains("absent.toml: No such file"), "{error}");
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(Network::load(&path).unwrap_err().to_string().contains("UTF-8"));
}
