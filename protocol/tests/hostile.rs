//! Peers that do not keep to the rules: no certificate, another protocol, half-sent, oversized and garbage frames.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::order;
use common::world::*;
use hundi_protocol::*;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Believes any server: what is tested is the other side.
#[derive(Debug)]
struct Credulous;
impl rustls::client::danger::ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn address(world: &World) -> String {
    world.network.node(&peer("bank/alpha")).unwrap().address.clone().unwrap()
}

/// A raw TLS connection with the identity of a folder, or none.
fn connect(world: &World, folder: Option<&Path>, alpn: &[u8]) -> StreamOwned<ClientConnection, TcpStream> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match folder {
        Some(folder) => {
            let certificate = CertificateDer::from_pem_file(folder.join("tls.pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = if alpn.is_empty() { vec![] } else { vec![alpn.to_vec()] };
    let stream = TcpStream::connect(address(world)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// Reads until the other side closes; what it said last if that was an error.
fn read_to_end(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> String {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return "closed".to_owned(),
            Ok(_) => {}
            Err(e) => {
                assert!(
                    !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "it was not closed"
                );
                return e.to_string();
            }
        }
    }
}

fn quick() -> Limits {
    Limits {
        handshake_timeout: Duration::from_secs(3),
        frame_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(4),
        ..Limits::default()
    }
}

#[test]
fn bytes_that_are_no_frame_close_the_link() {
    let world = World::new();
    let alpha = world.start("bank/alpha");
    let folder = world.folder(&peer("coordinator/c1"));
    let resolve = {
        let mut writer = FrameWriter::new();
        writer.push(&Message::Resolve { order: order() }).unwrap();
        writer.bytes().to_vec()
    };
    let mut trailing = resolve.clone();
    trailing.push(0);
    let length = u32::try_from(trailing.len() - 4).unwrap();
    trailing[..4].copy_from_slice(&length.to_be_bytes());
    let mut more_than_there_are = resolve.clone();
    more_than_there_are[5] = 2;
    let mut tampered = resolve.clone();
    tampered[40] ^= 1;
    let cases: [(&str, Vec<u8>); 8] = [
        ("oversized", vec![0xff, 0xff, 0xff, 0xff]),
        ("one byte over the limit", (u32::try_from(FRAME_SIZE_MAX).unwrap() + 1).to_be_bytes().to_vec()),
        ("no count", vec![0, 0, 0, 1, 0]),
        ("too many messages", vec![0, 0, 0, 2, 0xff, 0xff]),
        ("garbage", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("bytes after the last message", trailing),
        ("fewer messages than announced", more_than_there_are),
        ("a tampered order", tampered),
    ];
    for (i, (what, bytes)) in cases.into_iter().enumerate() {
        let mut stream = connect(&world, Some(&folder), ALPN);
        stream.write_all(&bytes).unwrap();
        read_to_end(&mut stream);
        wait_until(what, || alpha.link.stats().peers_misbehaved == i as u64 + 1);
    }
    alpha.hears_nothing();
    // The positive control: the same connection with the frame as it should be.
    let mut stream = connect(&world, Some(&folder), ALPN);
    stream.write_all(&resolve).unwrap();
    alpha.receive("coordinator/c1", 1);
    // Cut anywhere, a frame is one frame still.
    for cut in [1, 4, 5, 6, 60] {
        stream.write_all(&resolve[..cut]).unwrap();
        stream.flush().unwrap();
        std::thread::sleep(Duration::from_millis(5));
        stream.write_all(&resolve[cut..]).unwrap();
        alpha.receive("coordinator/c1", 1);
    }
}

#[test]
fn half_sent_frames_silence_and_silent_strangers_are_timed_out() {
    let world = World::new();
    let alpha = world.start_with("bank/alpha", quick(), 16);
    let folder = world.folder(&peer("coordinator/c1"));
    let since = Instant::now();
    let mut half = connect(&world, Some(&folder), ALPN);
    half.write_all(&[0, 0, 0, 100, 0, 1, 3]).unwrap();
    let mut silent = connect(&world, Some(&folder), ALPN);
    silent.flush().unwrap();
    let mut strangers: Vec<_> = (0..100).map(|_| TcpStream::connect(address(&world)).unwrap()).collect();
    read_to_end(&mut half);
    assert!(since.elapsed() >= quick().frame_timeout);
    assert_eq!(alpha.link.stats().peers_misbehaved, 1);
    // A drop now and then does not make a half-sent frame a whole one.
    let mut dripping = connect(&world, Some(&folder), ALPN);
    dripping.write_all(&[0, 0, 0, 100, 0, 1]).unwrap();
    let since = Instant::now();
    while since.elapsed() < PATIENCE && alpha.link.stats().peers_misbehaved < 2 {
        let _ = dripping.write_all(&[3]);
        let _ = dripping.flush();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(alpha.link.stats().peers_misbehaved, 2);
    read_to_end(&mut silent);
    // More strangers than may knock at once are all shown out, and friends get in afterwards.
    for stranger in &mut strangers {
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(matches!(stranger.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
    let mut friend = connect(&world, Some(&folder), ALPN);
    assert!(friend.read(&mut [0; 16]).unwrap() > 0);
}

#[test]
fn a_flood_of_silent_calls_keeps_nobody_out() {
    let world = World::new();
    // Silent callers are given an hour: who gets in does so because room is made, not because they are timed out.
    let limits = Limits { handshake_timeout: 3600 * SECOND, ..Limits::default() };
    let alpha = world.start_with("bank/alpha", limits, 16);
    let folder = world.folder(&peer("coordinator/c1"));
    let silent: Vec<_> = (0..300).map(|_| TcpStream::connect(address(&world)).unwrap()).collect();
    let mut friend = connect(&world, Some(&folder), ALPN);
    friend.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(friend.read(&mut [0; 16]).unwrap() > 0);
    wait_until("the oldest are shown out", || alpha.link.stats().handshakes_failed >= 300 - 64);
    drop(silent);
}

#[test]
fn without_a_certificate_or_with_another_protocol_nobody_gets_in() {
    let world = World::new();
    let alpha = world.start("bank/alpha");
    let folder = world.folder(&peer("coordinator/c1"));
    let said = read_to_end(&mut connect(&world, None, ALPN));
    assert!(said.contains("CertificateRequired"), "{said}");
    let said = read_to_end(&mut connect(&world, Some(&folder), b"h2"));
    assert!(said.contains("NoApplicationProtocol"), "{said}");
    read_to_end(&mut connect(&world, Some(&folder), b""));
    wait_until("all are counted", || alpha.link.stats().handshakes_failed == 3);
    alpha.hears_nothing();
}

/// What `openssl s_client` says about alpha's listener.
fn openssl(world: &World, arguments: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address(world), "-alpn", "hundi/1"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Told to ignore the end of its input, it ends when it is refused; else it ends then.
    std::thread::sleep(Duration::from_millis(500));
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn openssl_gets_in_with_a_certificate_of_the_network_only() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: openssl is not installed");
        return;
    }
    let world = World::new();
    let alpha = world.start("bank/alpha");
    let said = openssl(&world, &["-tls1_3", "-ign_eof"]);
    assert!(said.contains("certificate required"), "{said}");
    let said = openssl(&world, &["-tls1_2", "-ign_eof"]);
    assert!(said.contains("alert protocol version"), "{said}");

    let stranger = tempfile::tempdir().unwrap();
    let (certificate, key) = (stranger.path().join("tls.pem"), stranger.path().join("tls.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=c1"])
        .args(["-addext", "subjectAltName=URI:spiffe://hundi/coordinator/c1", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let with = |folder: &Path, more: &[&str]| {
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let (certificate, key) = (file("tls.pem"), file("tls.key"));
        openssl(&world, &[&["-tls1_3", "-cert", &certificate, "-key", &key], more].concat())
    };
    let said = with(stranger.path(), &["-ign_eof"]);
    assert!(said.contains("alert certificate unknown"), "{said}");
    wait_until("all are counted", || alpha.link.stats().handshakes_failed == 3);

    // The positive control.
    let said = with(&world.folder(&peer("coordinator/c1")), &[]);
    assert!(said.contains("TLSv1.3") && !said.contains("alert"), "{said}");
    assert_eq!(alpha.link.stats().handshakes_failed, 3);
    alpha.hears_nothing();
}
