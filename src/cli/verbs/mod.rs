//! The verbs for people, one file each.

mod agent;
mod audit;
mod component;
mod credentials;
mod demo;
mod deploy;
mod doctor;
mod down;
mod image;
mod kubeconfig;
mod list;
mod mcp;
mod open;
mod pause;
mod plan;
mod run;
mod snapshot;
mod status;
mod support_bundle;
mod token;
mod up;

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    context::{Context, Unnamed},
    exit::Exit,
    failure::Failure,
};

/// A verb for people.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Bring the platform up on this machine, or repair what is there
    #[command(after_help = up::EXAMPLES)]
    Up(up::Args),
    /// Undo everything that was done to this machine, and prove it
    #[command(after_help = down::EXAMPLES)]
    Down(down::Args),
    /// Run a command with an instance of its own, and take that down again however it ends
    #[command(after_help = run::help())]
    Run(run::Args),
    /// Stop everything of the instance and keep it: objects, volumes, identities and ports
    #[command(after_help = pause::EXAMPLES)]
    Pause,
    /// Start a paused instance again
    #[command(after_help = pause::RESUME_EXAMPLES)]
    Resume,
    /// Save the whole instance in one file, and bring it back to that
    #[command(subcommand, after_help = snapshot::EXAMPLES)]
    Snapshot(snapshot::Verb),
    /// List the instances on this machine
    #[command(visible_alias = "ls", after_help = list::EXAMPLES)]
    List,
    /// Show how the planes are
    #[command(after_help = status::EXAMPLES)]
    Status(status::Args),
    /// Check what this machine offers and what the instance lacks
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Args),
    /// Collect what helps others to understand the instance in one archive, without its secrets
    #[command(after_help = support_bundle::EXAMPLES)]
    SupportBundle(support_bundle::Args),
    /// Open the portal, signed in by a one-time link
    #[command(after_help = open::EXAMPLES)]
    Open(open::Args),
    /// Show users and agents with their credentials
    #[command(after_help = credentials::EXAMPLES)]
    Credentials,
    /// Print a token that is valid for an hour
    #[command(after_help = token::EXAMPLES)]
    Token(token::Args),
    /// Print the path of the instance's kubeconfig
    #[command(after_help = kubeconfig::EXAMPLES)]
    Kubeconfig(kubeconfig::Args),
    /// Give container images to the cluster
    #[command(subcommand, after_help = image::EXAMPLES)]
    Image(image::Verb),
    /// Deploy an image of your own, and print its URL once it answers
    #[command(after_help = deploy::EXAMPLES)]
    Deploy(deploy::Args),
    /// List and delete what was deployed
    #[command(subcommand, after_help = component::EXAMPLES)]
    Component(component::Verb),
    /// Deploy sample applications
    #[command(subcommand, after_help = demo::EXAMPLES)]
    Demo(demo::Verb),
    /// Give AI agents identities, and let them change what a person chooses
    #[command(subcommand, after_help = agent::EXAMPLES)]
    Agent(agent::Verb),
    /// Show who did what, and who let them
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::Args),
    /// Connect AI agents
    #[command(subcommand, after_help = mcp::EXAMPLES)]
    Mcp(mcp::Verb),
    /// Print the steps of `up`, one a line
    #[command(hide = true)]
    Plan(plan::Args),
}

impl Verb {
    /// Whether it serves until it is told to end.
    pub(crate) fn serves(&self) -> bool {
        matches!(self, Self::Mcp(mcp::Verb::Serve { .. }))
    }

    /// Which instance it means where nobody names one.
    pub(crate) fn unnamed(&self) -> Unnamed {
        match self {
            Self::Run(_) => Unnamed::Own,
            Self::Up(_) | Self::Down(_) | Self::Plan(_) => Unnamed::Default,
            _ => Unnamed::Only,
        }
    }

    /// Whether it ends by itself when somebody presses ctrl-c: what it began must be undone first.
    pub(crate) fn sees_to_signals(&self) -> bool {
        match self {
            Self::Run(_) => true,
            Self::Doctor(args) => args.rehearses(),
            Self::Down(args) => args.ends_another(),
            Self::Snapshot(verb) => verb.stops_it(),
            _ => false,
        }
    }

    /// Whether it is about the instance as it is, also when nobody wants that any more.
    pub(crate) fn takes_it_as_it_is(&self) -> bool {
        match self {
            Self::Down(_) | Self::SupportBundle(_) => true,
            Self::Doctor(args) => args.ends_a_rehearsal(),
            _ => false,
        }
    }

    /// Whether it leaves the machine alone altogether.
    pub(crate) fn only_talks(&self) -> bool {
        matches!(self, Self::Plan(_))
    }

    /// How to go on with what was recorded before it ended early, or back; `None` if it records nothing.
    pub(crate) fn onwards(&self) -> Option<String> {
        match self {
            Self::Up(_) | Self::Down(_) | Self::Resume => Some(ONWARDS.to_owned()),
            Self::Agent(verb) => verb.onwards(),
            Self::Mcp(verb) => verb.onwards(),
            Self::Deploy(_) => Some(deploy::ONWARDS.to_owned()),
            Self::Demo(demo::Verb::Deploy { demo }) => Some(format!(
                "the same command again goes on; `curtain demo remove {demo}` undoes it"
            )),
            _ => None,
        }
    }
}

/// How to go on with an instance that is half made or half gone, or back.
pub(crate) const ONWARDS: &str = "`curtain up` goes on, `curtain down` undoes it";

/// Seconds a verb may take that asks the instance something, without `--timeout`.
const USUAL: u64 = 30;

/// How a command ends that sees to signals itself.
#[derive(Debug)]
pub(crate) enum End {
    /// With this code.
    Code(ExitCode),
    /// In the command of this program with these arguments, which takes this process's place.
    In(Vec<String>),
}

/// Runs a verb that sees to signals itself, and returns the code that it ends with.
pub(crate) async fn to_the_end(verb: Verb, context: &Context) -> Result<End, Failure> {
    match verb {
        Verb::Run(args) => run::run(args, context).await,
        Verb::Down(args) => down::for_another(&args, context).await.map(End::Code),
        Verb::Doctor(args) => doctor::run(args, context).await,
        verb => run(verb, context).await.map(|exit| End::Code(exit.into())),
    }
}

/// Runs `verb`.
pub(crate) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Up(args) => up::run(args, context).await,
        Verb::Down(args) => down::run(&args, context).await,
        Verb::Run(args) => run::run(args, context).await.map(|_| Exit::Ok),
        Verb::Pause => pause::pause(context).await,
        Verb::Resume => pause::resume(context).await,
        Verb::Snapshot(verb) => snapshot::run(verb, context).await,
        Verb::SupportBundle(args) => support_bundle::run(&args, context).await,
        Verb::Status(args) => context.within(USUAL, status::run(&args, context)).await,
        Verb::List => context.within(USUAL, list::run(context)).await,
        Verb::Doctor(args) => doctor::run(args, context).await.map(|_| Exit::Ok),
        Verb::Open(args) => context.within(USUAL, open::run(&args, context)).await,
        Verb::Credentials => context.within(USUAL, credentials::run(context)).await,
        Verb::Token(args) => context.within(USUAL, token::run(&args, context)).await,
        Verb::Kubeconfig(args) => kubeconfig::run(&args, context),
        Verb::Image(verb) => image::run(verb, context).await,
        Verb::Deploy(args) => deploy::run(args, context).await,
        Verb::Component(verb) => component::run(verb, context).await,
        Verb::Demo(verb) => demo::run(&verb, context).await,
        Verb::Audit(args) => context.within(USUAL, audit::run(&args, context)).await,
        Verb::Agent(verb) => agent::run(verb, context).await,
        Verb::Mcp(verb) => mcp::run(verb, context).await,
        Verb::Plan(args) => plan::run(&args, context),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::Unnamed;
    use crate::args::{Cli, Verb};

    /// What is said to whoever interrupts the command `words`.
    fn onwards(words: &str) -> Option<String> {
        let cli = Cli::try_parse_from(["curtain"].into_iter().chain(words.split(' ')));
        match cli.expect("a command").verb {
            Verb::User(verb) => verb.onwards(),
            #[cfg(target_os = "linux")]
            Verb::Role(_) => None,
        }
    }

    #[test]
    fn up_and_down_never_guess_an_instance() {
        let unnamed = |words: &str| {
            let cli = Cli::try_parse_from(["curtain"].into_iter().chain(words.split(' ')));
            match cli.expect("a command").verb {
                Verb::User(verb) => verb.unnamed(),
                #[cfg(target_os = "linux")]
                Verb::Role(_) => unreachable!("{words}"),
            }
        };
        for words in ["status", "pause", "doctor", "component list", "agent list", "open"] {
            assert_eq!(unnamed(words), Unnamed::Only, "{words}");
        }
        assert_eq!(["up", "down"].map(unnamed), [Unnamed::Default; 2]);
        assert_eq!(unnamed("run -- true"), Unnamed::Own);
    }

    #[test]
    fn an_interrupted_command_names_the_one_that_undoes_just_it() {
        assert_eq!(onwards("up").as_deref(), Some(super::ONWARDS));
        assert_eq!(onwards("down").as_deref(), Some(super::ONWARDS));
        for verb in ["install", "config"] {
            let said = onwards(&format!("mcp {verb} claude")).expect("it is recorded");
            assert!(said.contains("the same command again goes on"), "{said}");
            assert!(said.contains("`curtain mcp uninstall claude-code` undoes it"), "{said}");
            // `up` would not wire it, and `down` takes the whole instance.
            assert!(!said.contains("`curtain up`") && !said.contains("`curtain down`"), "{said}");
        }
        let said = onwards("mcp uninstall").expect("it is recorded");
        assert_eq!(said, "the same command again goes on");
        let said = onwards("demo deploy shop").expect("it may be there by now");
        assert!(said.contains("`curtain demo remove shop` undoes it"), "{said}");
        let said = onwards("deploy --image my:dev").expect("it may be there by now");
        assert!(said.contains("`curtain component delete NAME` removes it"), "{said}");
        for words in ["status", "mcp serve --stdio --as developer"] {
            assert_eq!(onwards(words), None, "{words}");
        }
    }
}
