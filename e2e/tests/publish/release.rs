//! scripts/release: what a release is made of.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use curtain_e2e::{Clients, Output, Releases};
use serde_json::Value;

use crate::{CLIENTS, TARGETS, archive, manifest, program, root, script, version};

/// A release around archives of small programs, as `assemble` completes it.
fn assembled(releases: &Releases) -> std::path::PathBuf {
    let version = version();
    for target in TARGETS {
        releases.add(&version, target, &format!("a program for {target}"));
    }
    let files = releases.files(&version);
    fs::remove_file(files.join("SHA256SUMS")).unwrap();
    for (target, head) in CLIENTS {
        let suffix = if target.contains("-windows-") { ".exe" } else { "" };
        fs::write(files.join(format!("curtain-{version}-{target}{suffix}")), program(head))
            .unwrap();
    }
    let mut assemble = script("scripts/release/assemble");
    assemble.env("SYFT", Clients::find().syft()).env("SOURCE_DATE_EPOCH", "1");
    Output::of(assemble.arg(&files)).success();
    files
}

fn json(output: Output) -> Value {
    serde_json::from_str(&output.success()).unwrap()
}

#[test]
fn a_release_has_image_crates_formula_installer_and_sums_of_all() {
    let (version, releases) = (version(), Releases::serve(&version()));
    let files = assembled(&releases);
    let mut names: Vec<_> = fs::read_dir(&files)
        .unwrap()
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let targets = TARGETS.into_iter().chain(CLIENTS.map(|(target, _)| target));
    let archives: Vec<_> = targets.map(|target| archive(&version, target)).collect();
    let mut expected = archives.clone();
    expected.extend(["SHA256SUMS", "curtain.rb", "install.sh"].map(str::to_owned));
    expected.extend(["cdx.json", "oci.tar"].map(|kind| format!("curtain-{version}.{kind}")));
    expected.sort();
    assert_eq!(names, expected);
    let mut check = Command::new("sha256sum");
    let checked = Output::of(check.args(["-c", "SHA256SUMS"]).current_dir(&files)).success();
    assert_eq!(checked.lines().count(), names.len() - 1, "{checked}");

    // Every crate that is locked is listed.
    let listed: Value = serde_json::from_slice(
        &fs::read(files.join(format!("curtain-{version}.cdx.json"))).unwrap(),
    )
    .unwrap();
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let crates = lock.matches("[[package]]").count();
    assert_eq!(listed["components"].as_array().unwrap().len(), crates);
    assert_eq!(
        (&listed["bomFormat"], &listed["metadata"]["component"]["version"]),
        (&"CycloneDX".into(), &Value::from(version.as_str()))
    );

    // Each client is in its archive as it was built, beside the licence.
    for (target, head) in CLIENTS {
        let (path, folder) =
            (files.join(archive(&version, target)), format!("curtain-{version}-{target}"));
        let mut unpack = match target.contains("-windows-") {
            true => Command::new("unzip"),
            false => Command::new("tar"),
        };
        let scratch = tempfile::tempdir().unwrap();
        match target.contains("-windows-") {
            true => unpack.arg("-q").arg(&path).arg("-d").arg(scratch.path()),
            false => unpack.arg("-xzf").arg(&path).arg("-C").arg(scratch.path()),
        };
        Output::of(unpack).success();
        let name = if target.contains("-windows-") { "curtain.exe" } else { "curtain" };
        let inside = scratch.path().join(&folder);
        assert!(fs::read(inside.join(name)).unwrap() == program(head), "{target}");
        assert_eq!(fs::metadata(inside.join(name)).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(inside.join("LICENSE").exists(), "{target}");
    }

    // The formula is Ruby, and each of its sums is the archive's beside it.
    let formula = files.join("curtain.rb");
    Output::of(Command::new("ruby").arg("-c").arg(&formula)).success();
    let formula = fs::read_to_string(formula).unwrap();
    let sums = fs::read_to_string(files.join("SHA256SUMS")).unwrap();
    for archive in archives.iter().filter(|archive| archive.ends_with(".tar.gz")) {
        let sum = sums.lines().find_map(|line| line.strip_suffix(archive.as_str())).unwrap().trim();
        let url = format!(
            "{}/releases/download/v{version}/{archive}\"\n      sha256 \"{sum}\"",
            manifest(&["workspace", "package", "repository"])
        );
        assert!(formula.contains(&url), "{url}\n{formula}");
    }
}

#[test]
fn the_image_is_the_binary_of_each_machine_and_the_same_bytes_again() {
    let (version, releases) = (version(), Releases::serve(&version()));
    let files = assembled(&releases);
    let image = files.join(format!("curtain-{version}.oci.tar"));
    let scratch = tempfile::tempdir().unwrap();
    let again = scratch.path().join("again.tar");
    let mut make = script("scripts/release/image");
    make.env("SOURCE_DATE_EPOCH", "1").arg(&again);
    Output::of(
        make.args(TARGETS.map(|target| files.join(format!("curtain-{version}-{target}.tar.gz")))),
    )
    .success();
    assert!(fs::read(&again).unwrap() == fs::read(&image).unwrap(), "one commit, one image");

    // Pushed and read by a client of its own, for each machine.
    let layout = format!("oci:{}", scratch.path().join("pushed").display());
    let outputs = scratch.path().join("outputs");
    let mut push = script("scripts/release/push");
    push.env("HOME", scratch.path()).env("GITHUB_OUTPUT", &outputs);
    let said = Output::of(push.arg(&image).arg(&layout)).success();
    assert_eq!(fs::read_to_string(outputs).unwrap(), said);
    assert!(said.contains("\ndigest=sha256:"), "{said}");
    for (architecture, target) in ["amd64", "arm64"].into_iter().zip(TARGETS) {
        let reference = format!("{layout}:{version}");
        let skopeo = |args: &[&str]| {
            let mut command = Command::new("skopeo");
            command.args(["--override-os", "linux", "--override-arch", architecture]);
            Output::of(command.args(args))
        };
        let found = json(skopeo(&["inspect", "--config", &reference]));
        assert_eq!(found["architecture"], architecture);
        assert_eq!(found["config"]["Entrypoint"][0], "/curtain");
        let dir = scratch.path().join(architecture);
        skopeo(&["copy", "-q", &reference, &format!("dir:{}", dir.display())]).success();
        let manifest: Value =
            serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1, "{manifest}");
        let layer = layers[0]["digest"].as_str().unwrap().trim_start_matches("sha256:");
        let mut tar = Command::new("tar");
        let program = Output::of(tar.arg("-xzOf").arg(dir.join(layer)).arg("curtain")).success();
        assert_eq!(program, format!("a program for {target}"));
    }
}

#[test]
fn only_a_static_program_that_knows_its_version_is_packed() {
    let scratch = tempfile::tempdir().unwrap();
    let pack = |binary: &Path| {
        let mut package = script("scripts/release/package");
        Output::of(package.arg(binary).arg(scratch.path().join("out")))
    };
    let text = scratch.path().join("text");
    fs::write(&text, "#!/bin/sh\necho curtain\n").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = pack(&text);
    assert!(refused.code == 1 && refused.stderr.contains("no program for Linux"), "{refused:?}");
    let refused = pack(Path::new("/bin/cat"));
    assert!(refused.code == 1 && refused.stderr.contains("Cargo.toml says"), "{refused:?}");
    // A dynamic one that says the right thing.
    let source = scratch.path().join("said.c");
    let said =
        format!("#include <stdio.h>\nint main(void) {{ puts(\"curtain {}\"); }}\n", version());
    fs::write(&source, said).unwrap();
    let dynamic = scratch.path().join("dynamic");
    Output::of(Command::new("cc").arg("-o").arg(&dynamic).arg(&source)).success();
    let refused = pack(&dynamic);
    assert!(refused.code == 1 && refused.stderr.contains("linked dynamically"), "{refused:?}");
    // A client cannot be asked here: its name says that it was, and for which version.
    let client = scratch.path().join("curtain-0.0.0-aarch64-apple-darwin");
    fs::write(&client, program(CLIENTS[1].1)).unwrap();
    let refused = pack(&client);
    assert!(refused.code == 1 && refused.stderr.contains("is not called"), "{refused:?}");
    assert!(!scratch.path().join("out").exists());
}

#[test]
fn a_tag_needs_its_version_and_notes_and_publishing_takes_checked_files() {
    let notes = |tag: &[&str]| Output::of(script("scripts/release/notes").args(tag));
    let unreleased = notes(&["Unreleased"]).success();
    assert!(unreleased.starts_with("### Added\n") && !unreleased.contains("\n## "), "{unreleased}");
    let refused = notes(&["v99.0.0"]);
    assert!(refused.code == 1 && refused.stderr.contains(&version()), "{refused:?}");

    // A repository of its own whose changelog has the version, and a `gh` that tells what it was asked.
    let scratch = tempfile::tempdir().unwrap();
    let copy = scratch.path().join("repository");
    fs::create_dir_all(copy.join("scripts")).unwrap();
    let mut cp = Command::new("cp");
    Output::of(cp.arg("-r").arg(root().join("scripts/release")).arg(copy.join("scripts/")))
        .success();
    fs::copy(root().join("Cargo.toml"), copy.join("Cargo.toml")).unwrap();
    let changes = format!(
        "# Changelog\n\n## Unreleased\n\n- later\n\n## [{}] - 2030-01-01\n\n- now\n\n## 0.0.1\n\n- before\n",
        version()
    );
    fs::write(copy.join("CHANGELOG.md"), changes).unwrap();
    let gh = scratch.path().join("gh");
    fs::write(&gh, "#!/bin/sh\necho \"$@\"\nwhile [ $# -gt 0 ]; do [ \"$1\" != --notes-file ] || cat \"$2\"; shift; done\n").unwrap();
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
    let releases = Releases::serve(&version());
    releases.add(&version(), TARGETS[0], "x");
    let files = releases.files(&version());
    let publish = || {
        let mut publish = Command::new(copy.join("scripts/release/publish"));
        Output::of(publish.env("GH", &gh).arg(&files))
    };
    let said = publish().success();
    assert!(said.starts_with(&format!("release create v{} --verify-tag", version())), "{said}");
    assert!(said.contains("SHA256SUMS") && said.ends_with("\n- now\n"), "{said}");
    fs::write(files.join(format!("curtain-{}-{}.tar.gz", version(), TARGETS[0])), "y").unwrap();
    assert_ne!(publish().code, 0, "what changed on its way is not published");
}

#[test]
fn cargo_binstall_looks_where_the_archives_are() {
    let of = |name: &str| manifest(&["package", "metadata", "binstall", name]);
    assert_eq!(of("pkg-fmt"), "tgz");
    for target in TARGETS.into_iter().chain(CLIENTS.map(|(target, _)| target)) {
        let is_windows = target.contains("-windows-");
        let suffix = if is_windows { ".exe" } else { "" };
        let fill = |template: String| {
            let fields = [
                ("repo", manifest(&["workspace", "package", "repository"])),
                ("name", manifest(&["package", "name"])),
                ("version", version()),
                ("target", target.to_owned()),
                ("bin", "curtain".to_owned()),
                ("binary-ext", suffix.to_owned()),
            ];
            fields.into_iter().fold(template, |text, (name, value)| {
                text.replace(&format!("{{ {name} }}"), &value)
            })
        };
        // The names that `package` gives, which the installer's tests take from the real thing.
        let folder = format!("curtain-{}-{target}", version());
        let own = |name| manifest(&["package", "metadata", "binstall", "overrides", target, name]);
        let url = fill(if is_windows { own("pkg-url") } else { of("pkg-url") });
        assert!(!is_windows || own("pkg-fmt") == "zip");
        let (place, name) = url.rsplit_once('/').unwrap();
        assert_eq!(name, archive(&version(), target));
        assert!(place.ends_with(&format!("/releases/download/v{}", version())), "{url}");
        assert_eq!(fill(of("bin-dir")), format!("{folder}/curtain{suffix}"));
    }
}

#[test]
fn a_client_is_built_around_the_program_for_linux_and_asked_for_its_version() {
    let scratch = tempfile::tempdir().unwrap();
    let target = CLIENTS[1].0;
    let fake = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    fake("rustc", &format!("echo host: {target}"));
    // What is built says its version, and carries what it was given.
    let place = format!("$CARGO_TARGET_DIR/{target}/release");
    fake(
        "cargo",
        &format!(
            "mkdir -p \"{place}\"\nprintf '#!/bin/sh\\necho curtain %s # %s\\n' \"$SAYS\" \"$(cat \"$CURTAIN_LINUX_PROGRAM\")\" >\"{place}/curtain\"\nchmod 755 \"{place}/curtain\""
        ),
    );
    fs::write(scratch.path().join("linux"), "carried").unwrap();
    let path = format!("{}:{}", scratch.path().display(), std::env::var("PATH").unwrap());
    let build = |says: &str, linux: Option<&str>| {
        let mut build = script("scripts/release/build");
        build.env("PATH", &path).env("CARGO_TARGET_DIR", scratch.path()).env("SAYS", says);
        if let Some(linux) = linux {
            build.env("CURTAIN_LINUX_PROGRAM", scratch.path().join(linux));
        }
        Output::of(build.arg(scratch.path().join("out")))
    };
    let refused = build(&version(), None);
    assert!(refused.code == 1 && refused.stderr.contains("CURTAIN_LINUX_PROGRAM"), "{refused:?}");
    let refused = build("0.0.0", Some("linux"));
    assert!(refused.code == 1 && refused.stderr.contains("Cargo.toml says"), "{refused:?}");
    assert!(!scratch.path().join("out").exists());
    let said = build(&version(), Some("linux")).success();
    let built = scratch.path().join(format!("out/curtain-{}-{target}", version()));
    assert_eq!(said.trim(), built.display().to_string());
    assert!(fs::read_to_string(built).unwrap().contains("carried"));
}
