//! `curtain demo`.

use clap::Subcommand;
use curtain_appliance::demo::{self, Broken, Healed, Healing, Still};
use serde_json::json;

use crate::{context::Context, exit::Exit, failure::Failure, output};

pub(crate) const EXAMPLES: &str = "\
Examples:
  curtain demo deploy shop
  curtain demo break checkout
  curtain demo heal checkout";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Deploy a sample application and print its URL once it answers
    #[command(after_help = "\
Examples:
  curtain demo deploy shop            # eleven services, with visitors
  curl $(curtain demo deploy greeter)")]
    Deploy {
        /// The sample: shop or greeter
        demo: String,
    },
    /// Remove a sample application
    #[command(after_help = "\
Examples:
  curtain demo remove shop")]
    Remove {
        /// The sample: shop or greeter
        demo: String,
    },
    /// Break a service of the shop
    #[command(after_help = "\
Examples:
  curtain demo break checkout                    # a bad setting: no orders any more
  curtain demo break prices --fault latency
  curtain demo faults                            # all of them")]
    Break {
        /// The service, such as checkout
        service: String,
        /// A fault that stands where it would be guessed
        #[arg(hide = true)]
        misplaced: Option<String>,
        /// What is wrong with it [default: expired-certificate for payment, full-queue for mail, else bad-config]
        #[arg(long)]
        fault: Option<String>,
        /// Where
        #[arg(long, value_name = "ENVIRONMENT", default_value = "development")]
        env: String,
    },
    /// Undo what `break` did, and nothing else
    #[command(after_help = "\
Examples:
  curtain demo heal                 # whatever is broken
  curtain demo heal checkout")]
    Heal {
        /// Only this service, such as checkout [default: every one that is broken]
        service: Option<String>,
        /// Only there [default: every environment]
        #[arg(long, value_name = "ENVIRONMENT")]
        env: Option<String>,
    },
    /// List the faults of the shop, and what one sees of each
    #[command(after_help = "\
Examples:
  curtain demo faults
  curtain demo faults -o json")]
    Faults,
}

/// Seconds a sample may take to answer without `--timeout`.
const USUAL: u64 = 60;

pub(crate) async fn run(verb: &Verb, context: &Context) -> Result<Exit, Failure> {
    if matches!(verb, Verb::Faults) {
        faults(context);
        return Ok(Exit::Ok);
    }
    if let Verb::Break { service, misplaced: Some(fault), .. } = verb {
        let message = format!("a fault is named by --fault, not by {fault:?} alone");
        let next = format!("`curtain demo break {service} --fault {fault}`");
        return Err(Failure::new(Exit::Usage, message).next(next));
    }
    let access = context.access()?;
    let limit = context.inner(USUAL);
    match verb {
        Verb::Deploy { demo: name } => {
            let deployed = async { Ok(demo::deploy(&access, name, limit).await?) };
            let url = context.within(USUAL, deployed).await?;
            if context.is_json() {
                output::json(&json!({ "demo": name, "url": url }));
            } else {
                output::line(&url);
            }
        }
        Verb::Remove { demo: name } => {
            let removed = async { Ok(demo::remove(&access, name, limit).await?) };
            let removed = context.within(USUAL, removed).await?;
            if context.is_json() {
                output::json(&json!({ "demo": name, "removed": removed }));
            } else {
                output::note(&format!("{name}: {removed} objects removed"));
            }
        }
        Verb::Break { service, fault, env, .. } => {
            let breaking = demo::break_service(&access, service, fault.as_deref(), env);
            let broken = context.within(USUAL, async { Ok(breaking.await?) }).await?;
            if context.is_json() {
                output::json(&broken);
            } else {
                output::line(&format!("{service} in {env}: {}", broken.fault.change));
                output::line(&format!("Changed: {} of {}", broken.field, broken.changed));
                output::line(&format!("To see:  {}", broken.fault.see));
                output::line(&format!("Told:    {}", notified(&broken)));
                context.note(&format!("`curtain demo heal {service}` undoes it"));
            }
        }
        Verb::Heal { service, env } => {
            let healing = demo::heal(&access, service.as_deref(), env.as_deref());
            let healing = context.within(USUAL, async { Ok(healing.await?) }).await?;
            if context.is_json() {
                output::json(&healing);
            } else {
                healed(&healing);
            }
            if let Some(failed) = healing.failed {
                return Err(failed.into());
            }
        }
        Verb::Faults => {}
    }
    Ok(Exit::Ok)
}

/// Says what became of each fault.
fn healed(healing: &Healing) {
    for one in &healing.healed {
        output::line(&outcome(one));
        if !one.kept.is_empty() {
            output::note(&format!("changed by somebody since, and kept: {}", one.kept.join(", ")));
        }
    }
    if let Some(left) = left(healing) {
        output::note(&left);
    }
}

/// Who is told of the incident, and where one sees it.
fn notified(broken: &Broken) -> String {
    let Broken { channels, incidents, .. } = broken;
    match channels.as_slice() {
        [] => format!("nobody, for want of a notification channel; incidents: {incidents}"),
        _ => format!(
            "{}, once an incident opens; its page says how that went: {incidents}; the service mail logs the shop's mail",
            channels.join(", ")
        ),
    }
}

/// What became of a fault.
fn outcome(one: &Healed) -> String {
    let Healed { service, environment, fault, mended, gone, .. } = one;
    match (mended, gone) {
        (true, _) => format!("{service} in {environment}: somebody had mended {fault} already"),
        (_, true) => {
            format!("{service} in {environment}: no more {fault}, whose workload is gone")
        }
        _ => format!("{service} in {environment}: no more {fault}"),
    }
}

/// What is broken still, or that nothing was.
fn left(healing: &Healing) -> Option<String> {
    let still = healing.still_broken.iter();
    let still = still.map(|Still { service, environment, fault }| {
        format!("{service} in {environment} ({fault})")
    });
    let still = still.collect::<Vec<_>>().join(", ");
    let nothing_meant = healing.healed.is_empty() && healing.failed.is_none();
    match (nothing_meant, still.is_empty()) {
        (true, true) => Some("nothing is broken".to_owned()),
        (true, false) => Some(format!("nothing of that is broken; broken: {still}")),
        (false, true) => None,
        (false, false) => Some(format!("still broken: {still}")),
    }
}

fn faults(context: &Context) {
    if context.is_json() {
        output::json(&json!({ "faults": demo::FAULTS }));
        return;
    }
    for fault in demo::FAULTS {
        let where_from = match fault.services.len() {
            10.. => "any service".to_owned(),
            _ => fault.services.join(", "),
        };
        output::line(&format!("{} ({where_from})", context.style.bold(fault.name)));
        output::line(&format!("  {}", fault.change));
        output::line(&format!("  {}", context.style.dim(&format!("to see: {}", fault.see))));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_still_is_told() {
        let mut healing = Healing::default();
        assert_eq!(left(&healing).as_deref(), Some("nothing is broken"));
        let still = ["mail", "payment"].map(|service| Still {
            service: service.to_owned(),
            environment: "development".to_owned(),
            fault: "latency".to_owned(),
        });
        healing.still_broken = still.to_vec();
        let both = "mail in development (latency), payment in development (latency)";
        let told = format!("nothing of that is broken; broken: {both}");
        assert_eq!(left(&healing), Some(told));
        let mut web = Healed {
            service: "web".to_owned(),
            environment: "development".to_owned(),
            fault: "bad-config".to_owned(),
            mended: false,
            gone: false,
            kept: Vec::new(),
        };
        assert_eq!(outcome(&web), "web in development: no more bad-config");
        web.gone = true;
        let gone = "web in development: no more bad-config, whose workload is gone";
        assert_eq!(outcome(&web), gone);
        (web.mended, web.gone) = (true, false);
        assert_eq!(outcome(&web), "web in development: somebody had mended bad-config already");
        healing.healed = vec![web];
        assert_eq!(left(&healing), Some(format!("still broken: {both}")));
        healing.healed.clear();
        let (what, why) = ("the cluster".to_owned(), "no answer".to_owned());
        healing.failed = Some(curtain_appliance::Error::Unreachable { what, why });
        assert_eq!(left(&healing), Some(format!("still broken: {both}")), "and meant");
        healing.still_broken.clear();
        assert_eq!(left(&healing), None);
    }

    #[test]
    fn who_is_told_of_a_fault_and_where_is_said() {
        let fault = demo::FAULTS.into_iter().next().unwrap();
        let mut broken = Broken {
            service: "checkout".to_owned(),
            environment: "development".to_owned(),
            fault,
            changed: "ReleaseBinding default/checkout-development".to_owned(),
            field: "/spec",
            channels: vec!["shop-on-call-development".to_owned()],
            incidents: "http://localhost:8080/incidents".to_owned(),
        };
        assert_eq!(
            notified(&broken),
            "shop-on-call-development, once an incident opens; its page says how that went: \
             http://localhost:8080/incidents; the service mail logs the shop's mail"
        );
        broken.channels.clear();
        assert_eq!(
            notified(&broken),
            "nobody, for want of a notification channel; incidents: http://localhost:8080/incidents"
        );
    }

    /// The appliance knows the services' variables by name only.
    #[test]
    fn every_fault_is_a_setting_that_its_service_knows() {
        for (service, variable, _) in demo::variables() {
            let known = curtain_sample::shop::variables(service);
            assert!(known.contains(&variable), "{service} knows {known:?} and not {variable}");
        }
    }
}
