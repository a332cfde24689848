//! A seccomp profile of somebody's own, in the form that container runtimes read.
//!
//! One filter lets through what the profile names and does to the rest what it says by default; one more for each other
//! action does that to the calls it is for. The kernel does the strictest of what they say, and each call is told apart by at
//! most one of them beside the first. Calls that this architecture or the table here does not know are left out, and programs
//! of other architectures are ended.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};

use super::calls;
use super::seccomp::second_numbers;

/// A larger file is none that anybody wrote.
const LARGEST: u64 = 1 << 20;

/// A profile: where it is, and what it says once it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) path: PathBuf,
    /// What programs that join later are held to as well, whatever becomes of the file.
    #[serde(skip)]
    content: String,
}

impl Profile {
    /// The profile in a file, not read yet.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, content: String::new() }
    }

    /// Reads it.
    ///
    /// # Errors
    /// The sentence for the event.
    pub(crate) fn read(&mut self) -> Result<(), String> {
        let fail =
            |error| format!("cannot load the seccomp profile {}: {error}", self.path.display());
        self.content = read(&self.path).map_err(fail)?;
        Ok(())
    }

    /// The filters that it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn programs(&self) -> Result<Vec<BpfProgram>, String> {
        let compiled = serde_json::from_str(&self.content)
            .map_err(|error| error.to_string())
            .and_then(|document: Document| document.compile());
        compiled.map_err(|error| format!("the profile {}: {error}", self.path.display()))
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    // A fifo would keep whoever opens it waiting.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut content = String::new();
    if file.metadata()?.is_file() {
        file.take(LARGEST + 1).read_to_string(&mut content)?;
    }
    if content.is_empty() || content.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it is not a file of a profile's size"));
    }
    Ok(content)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Calls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Vec<Argument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// By number, when a call is meant: always if there is nothing.
type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

impl Document {
    fn compile(&self) -> Result<Vec<BpfProgram>, String> {
        let default = action(&self.default_action, self.default_errno_ret)?;
        let mut actions: Vec<(SeccompAction, Rules)> = Vec::new();
        for calls in &self.syscalls {
            let action = action(&calls.action, calls.errno_ret)?;
            if action == default {
                continue;
            }
            let index = match actions.iter().position(|(known, _)| *known == action) {
                Some(index) => index,
                None => {
                    actions.push((action, Rules::new()));
                    actions.len() - 1
                }
            };
            calls.add_to(&mut actions[index].1)?;
        }
        let mut programs = Vec::new();
        if default != SeccompAction::Allow {
            let mut named = Rules::new();
            for (call, rules) in actions.iter().flat_map(|(_, rules)| rules) {
                merge(&mut named, *call, rules.clone());
            }
            programs.push(filter(named, default, SeccompAction::Allow)?);
        }
        for (action, rules) in actions {
            if action != SeccompAction::Allow {
                programs.push(filter(rules, SeccompAction::Allow, action)?);
            }
        }
        // What is said of a call is not said of its second number.
        programs.extend(second_numbers());
        Ok(programs)
    }
}

impl Calls {
    fn add_to(&self, rules: &mut Rules) -> Result<(), String> {
        let conditions =
            self.args.iter().map(Argument::condition).collect::<Result<Vec<_>, String>>()?;
        let mut indexes: Vec<u8> = self.args.iter().map(|one| one.index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        // Conditions on different arguments hold together; several on one are alternatives.
        let alternatives: Vec<Vec<SeccompCondition>> = match indexes.len() {
            0 => Vec::new(),
            count if count == conditions.len() => vec![conditions],
            _ => conditions.into_iter().map(|one| vec![one]).collect(),
        };
        let alternatives = alternatives
            .into_iter()
            .map(|all| SeccompRule::new(all).map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        for call in self.names.iter().filter_map(|name| calls::number(name)) {
            merge(rules, call, alternatives.clone());
        }
        Ok(())
    }
}

/// What is meant always stays so.
fn merge(rules: &mut Rules, call: libc::c_long, more: Vec<SeccompRule>) {
    match rules.get_mut(&call) {
        None => drop(rules.insert(call, more)),
        Some(known) if known.is_empty() || more.is_empty() => known.clear(),
        Some(known) => known.extend(more),
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, String> {
        let (op, value) = match self.op.as_str() {
            "SCMP_CMP_NE" => (SeccompCmpOp::Ne, self.value),
            "SCMP_CMP_LT" => (SeccompCmpOp::Lt, self.value),
            "SCMP_CMP_LE" => (SeccompCmpOp::Le, self.value),
            "SCMP_CMP_EQ" => (SeccompCmpOp::Eq, self.value),
            "SCMP_CMP_GE" => (SeccompCmpOp::Ge, self.value),
            "SCMP_CMP_GT" => (SeccompCmpOp::Gt, self.value),
            "SCMP_CMP_MASKED_EQ" => (SeccompCmpOp::MaskedEq(self.value), self.value_two),
            other => return Err(format!("there is no comparison {other:?}")),
        };
        SeccompCondition::new(self.index, SeccompCmpArgLen::Qword, op, value)
            .map_err(|error| error.to_string())
    }
}

fn action(name: &str, number: Option<u32>) -> Result<SeccompAction, String> {
    let errno = number.unwrap_or(libc::EPERM.unsigned_abs());
    Ok(match name {
        "SCMP_ACT_ALLOW" => SeccompAction::Allow,
        "SCMP_ACT_ERRNO" => SeccompAction::Errno(errno),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => SeccompAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => SeccompAction::KillProcess,
        "SCMP_ACT_LOG" => SeccompAction::Log,
        "SCMP_ACT_TRACE" => SeccompAction::Trace(errno),
        "SCMP_ACT_TRAP" => SeccompAction::Trap,
        other => return Err(format!("the action {other:?} is not supported")),
    })
}

fn filter(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let filter = SeccompFilter::new(rules, otherwise, matched, arch);
    let filter = filter.map_err(|error| error.to_string())?;
    filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use serde_json::{Value, json};

    use super::*;

    fn programs(document: Value) -> Result<Vec<BpfProgram>, String> {
        let content = document.to_string();
        Profile { path: "/p.json".into(), content }.programs()
    }

    /// What getpriority says for one of these numbers under a profile. Filters hold for the thread that installs them.
    #[allow(unsafe_code, reason = "no safe wrapper calls by number")]
    fn asked_by(call: i64, document: Value, which: i64, who: i64) -> Result<(), Errno> {
        let programs = programs(document).unwrap();
        let thread = std::thread::spawn(move || {
            nix::sys::prctl::set_no_new_privs().unwrap();
            super::super::seccomp::install(&programs).unwrap();
            // SAFETY: getpriority only reads numbers.
            let answer = unsafe { libc::syscall(call, which, who) };
            if answer < 0 { Err(Errno::last()) } else { Ok(()) }
        });
        thread.join().unwrap()
    }

    fn asked(document: Value, which: i64, who: i64) -> Result<(), Errno> {
        asked_by(libc::SYS_getpriority, document, which, who)
    }

    fn denied(action: Value, args: Value) -> Value {
        let mut calls = action;
        calls["names"] = json!(["getpriority", "a_call_of_another_time"]);
        calls["args"] = args;
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [calls]})
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_call_has_no_second_number() {
        let open = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        assert_eq!(asked(open.clone(), 0, 0), Ok(()));
        let second = 0x4000_0000 | libc::SYS_getpriority;
        assert_eq!(asked_by(second, open, 0, 0), Err(Errno::EPERM));
    }

    #[test]
    fn a_call_is_refused_as_the_profile_says() {
        let errno = || json!({"action": "SCMP_ACT_ERRNO"});
        assert_eq!(asked(denied(errno(), json!([])), 0, 0), Err(Errno::EPERM));
        let other = json!({"action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS});
        assert_eq!(asked(denied(other, json!([])), 0, 0), Err(Errno::ENOSYS));
        assert_eq!(asked(denied(json!({"action": "SCMP_ACT_LOG"}), json!([])), 0, 0), Ok(()));
        let is =
            |index: u8, op: &str, value: u64| json!({"index": index, "op": op, "value": value});
        let both = json!([is(0, "SCMP_CMP_EQ", 0), is(1, "SCMP_CMP_EQ", 0)]);
        assert_eq!(asked(denied(errno(), both.clone()), 0, 0), Err(Errno::EPERM));
        assert_eq!(asked(denied(errno(), both), 2, 0), Ok(()), "both are meant");
        let either = json!([is(0, "SCMP_CMP_EQ", 2), is(0, "SCMP_CMP_EQ", 0)]);
        assert_eq!(asked(denied(errno(), either.clone()), 2, 0), Err(Errno::EPERM));
        assert_eq!(asked(denied(errno(), either), 0, 0), Err(Errno::EPERM));
        let masked = json!([{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 2, "valueTwo": 2}]);
        assert_eq!(asked(denied(errno(), masked.clone()), 2, 0), Err(Errno::EPERM));
        assert_eq!(asked(denied(errno(), masked), 0, 0), Ok(()));
    }

    #[test]
    fn what_a_profile_does_not_name_is_done_as_it_says_by_default() {
        // A thread needs some calls to end; only one is of interest.
        let others = json!({"names": all_but("getpriority"), "action": "SCMP_ACT_ALLOW"});
        let list = |mut more: Vec<Value>| {
            more.push(others.clone());
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": libc::EXDEV, "syscalls": more})
        };
        assert_eq!(asked(list(vec![]), 0, 0), Err(Errno::EXDEV));
        let named = |action: &str| json!({"names": ["getpriority"], "action": action, "errnoRet": libc::ENODEV});
        assert_eq!(asked(list(vec![named("SCMP_ACT_ERRNO")]), 0, 0), Err(Errno::ENODEV));
        assert_eq!(asked(list(vec![named("SCMP_ACT_ALLOW")]), 0, 0), Ok(()));
        let user = json!({"names": ["getpriority"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 2}]});
        assert_eq!(asked(list(vec![user.clone()]), 2, 0), Ok(()));
        assert_eq!(asked(list(vec![user]), 0, 0), Err(Errno::EXDEV));
    }

    fn all_but(name: &str) -> Vec<&'static str> {
        calls::names().filter(|known| *known != name).collect()
    }

    #[test]
    fn what_is_wrong_with_a_profile_is_said() {
        for (document, said) in [
            (json!({}), "the profile /p.json: missing field `defaultAction`"),
            (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "\"SCMP_ACT_NOTIFY\" is not supported"),
            (
                denied(
                    json!({"action": "SCMP_ACT_TRAP"}),
                    json!([{"index": 0, "op": "=", "value": 1}]),
                ),
                "there is no comparison \"=\"",
            ),
            (
                denied(
                    json!({"action": "SCMP_ACT_TRAP"}),
                    json!([{"index": 6, "op": "SCMP_CMP_EQ", "value": 1}]),
                ),
                "the profile /p.json: ",
            ),
        ] {
            let error = programs(document).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let mut profile = Profile::at("/none/p.json".into());
        let error = profile.read().unwrap_err();
        assert!(error.starts_with("cannot load the seccomp profile /none/p.json: "), "{error}");
    }
}
