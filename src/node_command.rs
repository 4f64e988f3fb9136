//! `hundi bank` and `hundi coordinator`: one node as a process.

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hundi_protocol::{BankName, NodeName};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure, While as _};
use crate::network_args::NetworkArgs;

/// Arguments that both kinds of node have.
#[derive(Debug, Args)]
struct NodeArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// The node's folder: its keys, and its data file
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Stop when stdin closes: a node that another program starts ends with it, however that ends
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// Arguments of `hundi bank`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi bank --network net/network.toml --name alpha --data net/bank-alpha

SIGTERM or Ctrl-C stops it: what is under way is finished or left in doubt on
disk, and it goes on from there. The data file net/bank-alpha/bank.db can be
read with any SQLite client while the node runs: views v_accounts, v_transfers,
v_votes, v_commits.")]
pub(crate) struct BankArgs {
    /// The bank's name in network.toml
    #[arg(long)]
    name: BankName,
    #[command(flatten)]
    node: NodeArgs,
}

/// Arguments of `hundi coordinator`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  hundi coordinator --network net/network.toml --name c1 \\
      --data net/coordinator-c1

A coordinator decides nothing: any number can run side by side, and one that is
lost loses nothing.")]
pub(crate) struct CoordinatorArgs {
    /// The coordinator's name in network.toml
    #[arg(long)]
    name: NodeName,
    #[command(flatten)]
    node: NodeArgs,
    /// In which order the banks are asked
    #[arg(long, value_enum, default_value_t)]
    commit_order: CommitOrderArg,
}

/// In which order the banks are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CommitOrderArg {
    /// The payees' banks first: no payer's money ever waits for another bank
    #[default]
    PayerLast,
    /// All banks at once: one round trip less, and the payer's money is held meanwhile
    Parallel,
}

impl CommitOrderArg {
    /// As it is written on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PayerLast => "payer-last",
            Self::Parallel => "parallel",
        }
    }
}

/// Runs a bank until it is told to stop.
pub(crate) fn bank(args: BankArgs) -> Result<(), Failure> {
    use hundi_bank_node::process::{self, Config, StartError};
    log_to_stderr();
    let signals = StopSignals::listen()?;
    let NodeArgs { network, data, until_stdin_closes } = args.node;
    let running =
        process::start(Config::new(network.network, args.name, data)).map_err(|error| match error {
            StartError::Place(error) if error.is_input() => Failure::input(error),
            _ => Failure::outside(error),
        })?;
    let stopper = running.stopper();
    signals.then(until_stdin_closes, move || stopper.stop());
    running.wait().map_err(Failure::outside)
}

/// Runs a coordinator until it is told to stop.
pub(crate) fn coordinator(args: CoordinatorArgs) -> Result<(), Failure> {
    use hundi_coordinator::process::{self, Config, StartError};
    use hundi_coordinator::{CommitOrder, Policy};
    log_to_stderr();
    let signals = StopSignals::listen()?;
    let NodeArgs { network, data, until_stdin_closes } = args.node;
    let commit_order = match args.commit_order {
        CommitOrderArg::PayerLast => CommitOrder::PayerLast,
        CommitOrderArg::Parallel => CommitOrder::Parallel,
    };
    let policy = Policy { commit_order, ..Policy::default() };
    let config = Config { network: network.network, name: args.name, folder: data, policy };
    let running = process::start(config).map_err(|error| match error {
        StartError::Place(error) if error.is_input() => Failure::input(error),
        _ => Failure::outside(error),
    })?;
    let stopper = running.stopper();
    signals.then(until_stdin_closes, move || stopper.stop());
    running.wait();
    Ok(())
}

/// A node's log: one event a line, on stderr.
fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(crate::console::colours_on_stderr())
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_target(false)
        .init();
}

/// SIGXFSZ, "file size limit exceeded", by its number: on Linux and macOS it is this one on all common processors.
const FILE_TOO_LARGE: i32 = 25;

/// The signals that end a node, listened to from before it starts: none may fall into a gap and kill it.
struct StopSignals {
    runtime: Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, Failure> {
        let cannot = || "cannot wait for signals".to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().or_fail(cannot)?;
        let entered = runtime.enter();
        let terminate = signal(SignalKind::terminate()).or_fail(cannot)?;
        let interrupt = signal(SignalKind::interrupt()).or_fail(cannot)?;
        // Once this is listened to, a file beyond the process's limit is a failed write like a full disk, which the node
        // reports, and no longer a silent end. The handler stays when the value goes.
        let _ = signal(SignalKind::from_raw(FILE_TOO_LARGE)).or_fail(cannot)?;
        drop(entered);
        Ok(Self { runtime, terminate, interrupt })
    }

    fn wait(&mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        });
    }

    /// Calls `stop` on a signal, and, if asked to, when stdin closes. A second signal ends the process at once: a node
    /// may be killed at any moment.
    fn then(mut self, until_stdin_closes: bool, stop: impl Fn() + Clone + Send + 'static) {
        let on_signal = stop.clone();
        std::thread::spawn(move || {
            self.wait();
            on_signal();
            self.wait();
            std::process::exit(Exit::Interrupted as i32);
        });
        if until_stdin_closes {
            std::thread::spawn(move || {
                // Whatever is written there means nothing; an error is an end as well.
                let mut ignored = [0; 256];
                while std::io::stdin().read(&mut ignored).is_ok_and(|count| count > 0) {}
                stop();
            });
        }
    }
}
