//! scripts/install.sh, against releases on the loopback device.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use curtain_e2e::{Clients, Output, Releases, binary};

use crate::{HERE, manifest, root, script, version};

/// A program that is called curtain and knows its version only.
fn program(version: &str) -> String {
    format!("#!/bin/sh\necho curtain {version}\n")
}

/// `install.sh ARGS` for a person with this home.
fn install(releases: &Releases, home: &Path, args: &[&str]) -> Output {
    let mut command = script("scripts/install.sh");
    command.env("HOME", home).env("CURTAIN_INSTALL_BASE", releases.base());
    Output::of(command.args(args))
}

/// All files and folders below a folder.
fn everything(dir: &Path) -> Vec<String> {
    let found = Output::of(Command::new("find").arg(dir).arg("-mindepth").arg("1")).success();
    found.lines().map(str::to_owned).collect()
}

#[test]
fn the_latest_release_is_installed_replaced_and_undone_by_the_line_it_prints() {
    // The binary itself, from the archive that a release has of it. What is built is there already.
    let latest = version();
    let releases = Releases::serve(&latest);
    let built = tempfile::tempdir().unwrap();
    let fake = |name: &str, text: String| {
        let path = built.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let place = format!("$CARGO_TARGET_DIR/{HERE}/release");
    let binary = binary();
    let link = format!("mkdir -p \"{place}\"\nln -s \"{}\" \"{place}/curtain\"", binary.display());
    fake(
        "cargo",
        format!(
            "#!/bin/sh\n[ \"$*\" = 'build --release --locked --bin curtain' ] || exit 1\n{link}\n"
        ),
    );
    fake("rustc", format!("#!/bin/sh\necho host: {HERE}\n"));
    let path = format!("{}:{}", built.path().display(), std::env::var("PATH").unwrap());
    let mut build = script("scripts/release/build");
    build.env("PATH", path).env("CARGO_TARGET_DIR", built.path()).env("CURTAIN_RELEASE_LEVEL", "1");
    Output::of(build.arg(releases.files(&latest))).success();
    releases.sum(&latest);
    releases.add("0.0.1", HERE, &program("0.0.1"));

    let home = tempfile::tempdir().unwrap();
    let said = install(&releases, home.path(), &[]).success();
    let installed = home.path().join(".local/bin/curtain");
    assert!(said.contains(&format!("curtain {latest} is {}\n", installed.display())), "{said}");
    assert!(said.contains("is not on your PATH"), "{said}");
    let ran = Output::of(Command::new(&installed).arg("--version")).success();
    assert_eq!(ran, format!("curtain {latest}\n"));
    assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o777, 0o755);

    // The export line makes the next one find it; an older version takes the place of the newer.
    let export = said.lines().find(|line| line.contains("export PATH=")).unwrap();
    let again = root().join("scripts/install.sh");
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{export}\n{} --version v0.0.1 && curtain --version", again.display()));
    shell.env("HOME", home.path()).env("CURTAIN_INSTALL_BASE", releases.base());
    let again = Output::of(shell).success();
    assert!(again.contains("It is on your PATH"), "{again}");
    assert!(again.ends_with("curtain 0.0.1\n"), "{again}");
    assert!(!again.contains("rmdir"), "it made no folder: {again}");

    let undo = said.lines().last().unwrap();
    Output::of(Command::new("sh").args(["-c", undo])).success();
    assert_eq!(everything(home.path()), [""; 0], "{undo}");
}

#[test]
fn a_folder_with_any_name_will_do_and_the_undo_line_knows_it() {
    let releases = Releases::serve("1.2.3-rc.1");
    releases.add("1.2.3-rc.1", HERE, &program("1.2.3-rc.1"));
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("it's mine/bin");
    let said = install(&releases, home.path(), &["--dir", dir.to_str().unwrap()]).success();
    assert!(dir.join("curtain").exists(), "{said}");
    Output::of(Command::new("sh").args(["-c", said.lines().last().unwrap()])).success();
    assert_eq!(everything(home.path()), [""; 0]);
}

#[test]
fn what_cannot_be_trusted_or_had_leaves_nothing() {
    let releases = Releases::serve("9.9.9");
    for version in ["2.0.0", "2.0.1", "2.0.2", "2.0.3"] {
        releases.add(version, HERE, &program(version));
    }
    let archive =
        |version| releases.files(version).join(format!("curtain-{version}-{HERE}.tar.gz"));
    // One byte more than was summed; none there; an archive of something else; one for other machines only.
    let mut changed = fs::read(archive("2.0.0")).unwrap();
    changed.push(0);
    fs::write(archive("2.0.0"), changed).unwrap();
    fs::remove_file(archive("2.0.1")).unwrap();
    releases.add("2.0.2", HERE, &program("6.6.6"));
    fs::rename(archive("2.0.3"), releases.files("2.0.3").join("curtain-2.0.3-sparc.tar.gz"))
        .unwrap();
    releases.sum("2.0.3");

    let home = tempfile::tempdir().unwrap();
    for (args, reason) in [
        (&["--version", "2.0.0"][..], "is not what SHA256SUMS says"),
        (&["--version", "2.0.1"], "cannot fetch"),
        (&["--version", "2.0.2"], "not curtain 2.0.2"),
        (&["--version", "2.0.3"], "has no archive for"),
        (&["--version", "3.0.0"], "there is no such release"),
        (&[], "there is no such release"),
    ] {
        let refused = install(&releases, home.path(), args);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(reason), "{reason}: {refused:?}");
        assert_eq!(everything(home.path()), [""; 0], "{refused:?}");
    }
    for args in [&["--version"][..], &["--dir"], &["now"]] {
        assert_eq!(install(&releases, home.path(), args).code, 2, "{args:?}");
    }

    // What was there before stays as it is.
    let bin = home.path().join(".local/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("curtain"), "mine").unwrap();
    assert_eq!(install(&releases, home.path(), &["--version", "2.0.0"]).code, 1);
    assert_eq!(fs::read_to_string(bin.join("curtain")).unwrap(), "mine");
    assert_eq!(everything(&bin).len(), 1);
}

#[test]
fn another_machine_is_refused_and_wget_does_where_there_is_no_curl() {
    let releases = Releases::serve("1.0.0");
    releases.add("1.0.0", HERE, &program("1.0.0"));
    let home = tempfile::tempdir().unwrap();
    let fakes = tempfile::tempdir().unwrap();
    let fake = |name: &str, text: &str| {
        let path = fakes.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let with_fakes = |path: String| {
        let mut command = Command::new("/bin/sh");
        command.arg(root().join("scripts/install.sh")).env_clear().env("PATH", path);
        Output::of(command.env("HOME", home.path()).env("CURTAIN_INSTALL_BASE", releases.base()))
    };
    for (os, machine, reason) in [
        ("Linux", "riscv64", "no binary for riscv64"),
        ("FreeBSD", "amd64", "no binary for FreeBSD"),
    ] {
        fake("uname", &format!("#!/bin/sh\n[ \"$1\" = -m ] && echo {machine} || echo {os}\n"));
        let refused = with_fakes(format!("{}:/usr/bin:/bin", fakes.path().display()));
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
        assert_eq!(everything(home.path()), [""; 0]);
    }

    // A Mac gets the client for it.
    releases.add("1.0.0", "aarch64-apple-darwin", &program("1.0.0"));
    fake("uname", "#!/bin/sh\n[ \"$1\" = -m ] && echo arm64 || echo Darwin\n");
    let said = with_fakes(format!("{}:/usr/bin:/bin", fakes.path().display())).success();
    assert!(said.contains("curtain 1.0.0 is "), "{said}");
    let undo = said.lines().last().unwrap();
    Output::of(Command::new("sh").args(["-c", undo])).success();

    // A PATH with busybox only, whose wget has few options: what a small container has.
    fs::remove_file(fakes.path().join("uname")).unwrap();
    for applet in [
        "uname",
        "mktemp",
        "wget",
        "grep",
        "head",
        "sha256sum",
        "cut",
        "tar",
        "gzip",
        "dirname",
        "mkdir",
        "cp",
        "chmod",
        "mv",
        "rm",
        "rmdir",
        "sed",
    ] {
        std::os::unix::fs::symlink("/bin/busybox", fakes.path().join(applet)).unwrap();
    }
    let said = with_fakes(fakes.path().display().to_string()).success();
    assert!(said.contains("curtain 1.0.0 is "), "{said}");
}

#[test]
fn the_action_keeps_a_version_in_the_tool_cache_and_asks_which_one_is_the_latest() {
    let tools = tempfile::tempdir().unwrap();
    let get = |base: &str, version: &str| {
        let module = root().join("scripts/setup-curtain/curtain.js");
        let code = "const [, module, version, tools] = process.argv;
            console.log(require(module).install(version, tools))";
        let mut node = Command::new(Clients::find().node());
        node.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("CURTAIN_INSTALL_BASE", base);
        Output::of(node.args(["-e", code]).arg(module).arg(version).arg(tools.path()))
    };
    let releases = Releases::serve("1.0.0");
    releases.add("1.0.0", HERE, &program("1.0.0"));
    let base = releases.base();
    let path = get(&base, "latest").success();
    let path = Path::new(path.trim());
    assert!(path.starts_with(tools.path()) && path.exists(), "{}", path.display());
    drop(releases);
    // Nobody answers now.
    for version in ["1.0.0", "v1.0.0"] {
        assert_eq!(Path::new(get(&base, version).success().trim()), path);
    }
    for version in ["latest", "1.0.1"] {
        let failed = get(&base, version);
        assert!(failed.code != 0 && failed.stderr.contains("could not be installed"), "{failed:?}");
    }
    let left: Vec<_> =
        fs::read_dir(tools.path()).unwrap().flatten().map(|one| one.file_name()).collect();
    assert_eq!(left, ["curtain"], "no half of anything stays");
}

#[test]
fn the_installer_knows_the_repository_and_is_whole_or_does_nothing() {
    let text = fs::read_to_string(root().join("scripts/install.sh")).unwrap();
    let repository = manifest(&["workspace", "package", "repository"]);
    assert!(text.contains(&format!("\nrepository={repository}\n")), "{repository}");
    // Cut off anywhere, as a broken connection does it, nothing is done.
    let home = tempfile::tempdir().unwrap();
    for part in 1..20 {
        let half = &text[..text.floor_char_boundary(text.len() * part / 20)];
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", half]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home.path());
        let ran = Output::of(shell.env("CURTAIN_INSTALL_BASE", "http://127.0.0.1:1"));
        assert!(ran.stdout.is_empty(), "{ran:?}");
        assert_eq!(everything(home.path()), [""; 0]);
    }
}
