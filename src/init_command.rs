//! `hundi init`: the keys, certificates and network.toml of a new network.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use hundi_protocol::{BankName, InitError, Member, NETWORK_FILE, NodeName, Plan, init};
use serde::Serialize;

use crate::console;
use crate::failure::Failure;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `hundi init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hundi init net --banks alpha,beta --coordinators 2
  hundi init net --banks alpha,beta --host 10.0.0.7 --first-port 7100

Writes net/network.toml, which every node gets a copy of, and one folder for
each node with its keys (mode 0600), which goes to that node alone. Edit the
addresses in network.toml when the nodes run on several machines.
net/authority.key makes certificates: keep it off the nodes.")]
pub(crate) struct InitArgs {
    /// The folder to make the network in
    dir: PathBuf,
    /// The banks' names, separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_name = "NAME,…")]
    banks: Vec<BankName>,
    /// How many coordinators: c1, c2, …
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    coordinators: u16,
    /// The payment apps' names, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "app", value_name = "NAME,…")]
    apps: Vec<NodeName>,
    /// The host that all nodes listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port of the first node; the others follow
    #[arg(long, default_value_t = 7100)]
    first_port: u16,
    /// A name for people
    #[arg(long, default_value = "hundi")]
    name: String,
    /// For how many days the certificates are valid
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    network: String,
    banks: Vec<BankName>,
    coordinators: Vec<NodeName>,
    apps: Vec<NodeName>,
}

/// Runs the command.
pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    let nodes = args.banks.len() + usize::from(args.coordinators);
    let ports: Vec<u16> = (args.first_port..=u16::MAX).take(nodes).collect();
    if ports.len() < nodes || args.first_port == 0 {
        let first = args.first_port;
        return Err(Failure::input(format_args!(
            "no {nodes} ports from {first} on; choose a lower --first-port"
        )));
    }
    let plan = plan(&args.name, &args.host, &args.banks, args.coordinators, &ports, &args.apps)?;
    let plan = Plan { valid_for: DAY * args.days, ..plan };
    init(&args.dir, &plan).map_err(refused)?;
    let file = args.dir.join(NETWORK_FILE);
    if args.json {
        let coordinators = plan.coordinators.into_iter().map(|member| member.name).collect();
        let (network, banks) = (file.display().to_string(), args.banks.clone());
        return console::json(&Report { network, banks, coordinators, apps: args.apps.clone() });
    }
    console::say(format_args!(
        "{} and a folder of keys for each node are written. Next, each in its own terminal:",
        file.display()
    ));
    for bank in &args.banks {
        let data = args.dir.join(format!("bank-{bank}"));
        console::say(format_args!(
            "  hundi bank --network {} --name {bank} --data {}",
            file.display(),
            data.display()
        ));
    }
    for member in &plan.coordinators {
        let data = args.dir.join(format!("coordinator-{}", member.name));
        let (file, name) = (file.display(), &member.name);
        console::say(format_args!(
            "  hundi coordinator --network {file} --name {name} --data {}",
            data.display()
        ));
    }
    Ok(())
}

/// The network to make, its nodes on these ports of one host: banks first.
pub(crate) fn plan(
    name: &str,
    host: &str,
    banks: &[BankName],
    coordinators: u16,
    ports: &[u16],
    apps: &[NodeName],
) -> Result<Plan, Failure> {
    let mut addresses = ports.iter().map(|port| format!("{host}:{port}"));
    let mut address = || addresses.next().ok_or_else(|| Failure::outside("too few ports for the nodes"));
    let banks = banks
        .iter()
        .map(|name| Ok(Member { name: name.clone(), address: address()? }))
        .collect::<Result<_, Failure>>()?;
    let coordinators = (1..=coordinators)
        .map(|n| {
            let name = NodeName::new(&format!("c{n}")).map_err(Failure::input)?;
            Ok(Member { name, address: address()? })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Plan {
        network: name.to_owned(),
        banks,
        coordinators,
        apps: apps.to_vec(),
        seed: None,
        now: SystemTime::now(),
        valid_for: DAY * 365,
    })
}

/// Whose fault it is that no network was made.
pub(crate) fn refused(error: InitError) -> Failure {
    match error {
        InitError::Io { .. } => Failure::outside(error),
        _ => Failure::input(error),
    }
}
