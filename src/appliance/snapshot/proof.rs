//! Two states, and which one stays: what a restore brought into place has to start once before the former state goes.
//!
//! Whoever starts the instance decides it, be it the restore itself or, where that died, the next `up` or `resume`.

use std::time::Duration;

use curtain_provider::{ClusterSpec, Keeper};

use crate::{
    Back, Error, FaultPlan, Home, Instance, fault::When, home::remove, pause, progress::Progress,
};

/// The step of exchanging the states, for faults.
pub(super) const EXCHANGE: &str = "snapshot/exchange";
/// The step of exchanging them back.
const BACK: &str = "snapshot/back";
/// How long the processes of a state that goes may take to end: they are killed.
pub(super) const END: Duration = Duration::from_secs(30);

/// Starts the instance in `home`, which the caller holds. If its state is one that nobody has seen start, the former one goes
/// if it starts, and comes back if it does not.
///
/// # Errors
/// What `start` fails with; [`Error::NotRestored`] of a state that was restored.
pub(crate) async fn decided<T>(
    home: &Home,
    faults: &FaultPlan,
    progress: &dyn Progress,
    start: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let beside = home.restoring();
    let instance = Instance::read(home)?;
    let provider = instance.as_ref().map(|one| curtain_provider::by_name(&one.provider));
    let provider = provider.transpose()?;
    let keeper = provider.as_ref().and_then(|provider| provider.keeper().ok());
    let (Some(instance), Some(keeper)) = (instance, keeper) else {
        return start.await;
    };
    let spec = instance.cluster(home);
    if keeper.is_proven(&spec) {
        // Of a restore that died before it had exchanged anything, or when all was done.
        remove(&beside)?;
        return start.await;
    }
    let started = async {
        faults.at(EXCHANGE, When::AfterDo)?;
        start.await
    };
    match started.await {
        Ok(done) => {
            proven(home, keeper, &spec, progress)?;
            Ok(done)
        }
        Err(source) => {
            let back = match go_back(home, keeper, &spec, faults).await {
                Ok(()) => Back::InPlace,
                Err(error) => Back::Beside { path: beside, source: Box::new(error) },
            };
            Err(Error::NotRestored { source: Box::new(source), back })
        }
    }
}

/// The state in place stays, and the former one goes.
pub(super) fn proven(
    home: &Home,
    keeper: &dyn Keeper,
    spec: &ClusterSpec,
    progress: &dyn Progress,
) -> Result<(), Error> {
    keeper.prove(spec)?;
    if let Err(error) = remove(&home.restoring()) {
        progress
            .note(&format!("the former state is still there: {error}; the next start removes it"));
    }
    Ok(())
}

/// Brings the former state back into its place. It does not run then, and is marked so.
pub(super) async fn go_back(
    home: &Home,
    keeper: &dyn Keeper,
    spec: &ClusterSpec,
    faults: &FaultPlan,
) -> Result<(), Error> {
    faults.at(BACK, When::BeforeDo)?;
    pause::mark(home)?;
    keeper.halt(spec, END).await?;
    keeper.exchange(spec, &home.restoring())?;
    // What is there now came from a file that is there still.
    let _ = remove(&home.restoring());
    Ok(())
}
