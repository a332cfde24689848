//! `curtain down`.

use std::process::ExitCode;

use curtain_appliance::{Down, TakeDown, down};
use curtain_machine::child::Signals;

use super::End;
use crate::{context::Context, exit::Exit, failure::Failure, output, progress};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain down                # undo everything, and prove it
  curtain down --name ci -o json
  curtain down --images       # the node image that `up` downloaded, too";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Remove the images, too, that `up` downloaded for nodes and no other cluster uses
    #[arg(long)]
    images: bool,
    /// End what another command of this process began, and exit with its code
    #[arg(long, hide = true, value_name = "CODE")]
    then_exit: Option<u8>,
}

impl Args {
    /// Whether it ends what another command began.
    pub(super) fn ends_another(&self) -> bool {
        self.then_exit.is_some()
    }
}

/// Seconds `down` may take without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let result = take(args, context).await?;
    if context.is_json() {
        output::json(&result);
    } else {
        if result.leftovers.is_empty() {
            output::line(&said(&result));
        }
        if result.removed == 0 {
            others(context)?;
        }
        kept(args, &result);
    }
    complete(&result).map(|()| Exit::Ok)
}

/// Takes down an instance that another command made for itself. Whatever is said of it goes to stderr, and no signal
/// keeps it from being done.
pub(super) async fn gone(context: &Context, signals: &mut Signals) -> Result<(), Failure> {
    let args = Args::default();
    let work = take(&args, context);
    tokio::pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result?,
            () = signals.asked() => context.note("the instance is being taken down; that takes a moment"),
        }
    };
    if result.leftovers.is_empty() {
        output::note(&said(&result));
    }
    kept(&args, &result);
    complete(&result)
}

/// Ends in the process that takes the instance of `context` down and exits with the code of `exit`. Threads may still be at
/// work for it here, and that process has none.
pub(super) fn in_another(context: &Context, exit: Exit) -> End {
    let code = (exit as u8).to_string();
    let words = ["down", "--then-exit", &code].map(str::to_owned);
    End::In(words.into_iter().chain(context.flags()).collect())
}

/// The end of a command that failed: this process was that command, and how that ended says more than what is left.
pub(super) async fn for_another(args: &Args, context: &Context) -> Result<ExitCode, Failure> {
    let gone = async { gone(context, &mut Signals::new()?).await }.await;
    match (args.then_exit.unwrap_or_default(), gone) {
        (0, Err(left)) => Err(left),
        (code, Err(left)) => {
            output::error_line(&left.about(context.home.name()).to_string());
            Ok(ExitCode::from(code))
        }
        (code, Ok(())) => Ok(ExitCode::from(code)),
    }
}

async fn take(args: &Args, context: &Context) -> Result<Down, Failure> {
    let progress = progress::shown();
    let how = TakeDown {
        timeout: context.timeout(USUAL),
        images: args.images,
        faults: context.faults.clone(),
    };
    Ok(down(&context.home, &how, &*progress).await?)
}

fn said(result: &Down) -> String {
    let name = &result.instance;
    match result.removed {
        0 => format!("There is no instance {name}; nothing to do."),
        1 => format!("Instance {name} is gone: 1 thing removed, nothing left."),
        many => format!("Instance {name} is gone: {many} things removed, nothing left."),
    }
}

/// Names the instances there are, to whoever may have meant one of them: which one goes is never guessed.
fn others(context: &Context) -> Result<(), Failure> {
    let names: Vec<_> = context.homes.list()?.iter().map(|home| home.name().to_string()).collect();
    if let [first, ..] = names.as_slice() {
        let all = names.join(", ");
        output::note(&format!("there are: {all}; `curtain down --name {first}` takes it down"));
    }
    Ok(())
}

/// Says what stays on purpose.
fn kept(args: &Args, result: &Down) {
    for kept in &result.kept {
        let hint = match kept.kind.as_str() {
            "image" if !args.images => "; `curtain down --images` removes it",
            _ => "",
        };
        output::note(&format!("kept: {} {}{hint}", kept.kind, kept.name));
    }
}

fn complete(result: &Down) -> Result<(), Failure> {
    if result.leftovers.is_empty() {
        return Ok(());
    }
    let left: String =
        result.leftovers.iter().map(|left| format!("\n  {}: {}", left.kind, left.name)).collect();
    let next = "see to that, then run `curtain down` again";
    Err(Failure::new(Exit::Leftovers, format!("not everything could be undone; left:{left}"))
        .next(next))
}
