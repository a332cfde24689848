//! kind's node image between jobs: pulled once, and out of the runner's cache from then on.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use curtain_e2e::{
    ActionsCache, Clients, Engine, Instance, Output, Registry, Weather, busybox_archive,
};

use crate::runner::Runner;

/// `up` has pulled the image and goes no further: enough where nothing else is looked at.
const PULLED: &str = "cluster/nodes:before-do:fail";
/// Names that only this action and `up` give.
const LOADED: &str = "curtain.local/setup-curtain:";
const MARK: &str = "curtain.local/node-image/";

/// A job with kind's nodes.
fn job<'a>(engine: &Engine, instance: &'a Instance, image: &str, name: &str) -> Runner<'a> {
    Runner::new(instance, name)
        .with("DOCKER_HOST", &engine.host())
        .with("INPUT_PROVIDER", "kind")
        .with("INPUT_NODE-IMAGE", image)
}

/// The same on a runner that offers `cache`.
fn cached<'a>(
    engine: &Engine,
    instance: &'a Instance,
    image: &str,
    cache: &ActionsCache,
    name: &str,
) -> Runner<'a> {
    let job = job(engine, instance, image, name);
    cache.environment().iter().fold(job, |job, (name, value)| job.with(name, value))
}

/// Whether the Engine has an image with such a name.
fn has(engine: &Engine, name: &str) -> bool {
    engine.scan().iter().any(|one| one.starts_with("image ") && one.contains(name))
}

/// Whether an archive of an image is left.
fn is_left(job: &Runner<'_>) -> bool {
    job.left().iter().any(|file| file.contains("node-image"))
}

/// Removes what `up` pulled and `down` kept.
#[track_caller]
fn forget(engine: &Engine, image: &str, before: &BTreeSet<String>) {
    let (name, digest) = image.split_once('@').unwrap();
    let exact = format!("{}@{digest}", name.rsplit_once(':').unwrap().0);
    let id = engine.docker(&["image", "inspect", "--format", "{{.Id}}", &exact]).success();
    engine.docker(&["image", "rm", "--force", id.trim()]).success();
    engine.assert_as(before);
}

/// What a step said, wherever; none of it may be secret.
#[track_caller]
fn said(output: &Output, runner: &Runner<'_>, cache: &ActionsCache) -> String {
    let files = ["output", "env", "state", "summary"].map(|file| runner.text(file)).concat();
    let text = format!("{}{}{files}", output.stdout, output.stderr);
    for secret in cache.secrets() {
        assert!(!text.contains(secret), "{text}");
    }
    text
}

#[test]
fn the_node_image_is_pulled_once_and_comes_from_the_cache_afterwards() {
    let engine = Engine::start();
    let (registry, cache) = (Registry::of_the_node_image(), ActionsCache::serve());
    let (image, before) = (registry.image(), engine.scan());

    let instance = Instance::prepare_kind(&engine, &image);
    let first = cached(&engine, &instance, &image, &cache, "first");
    let step = first.run("main.js", PULLED);
    assert!(said(&step, &first, &cache).contains("it is not there yet"), "{step:?}");
    let end = first.run("post.js", "");
    assert_eq!(end.code, 0, "{end:?}");
    assert!(said(&end, &first, &cache).contains("Node image: saved"), "{end:?}");
    assert!(!is_left(&first), "{:?}", first.left());
    let digest = image.rsplit(':').next().unwrap();
    let keys = cache.keys();
    assert!(keys.len() == 1 && keys[0].contains(digest), "{keys:?}");
    // As `down` leaves it, for the next job on this machine, which asks nobody.
    assert!(has(&engine, MARK), "{:?}", engine.scan());
    cache.asked();
    let next = cached(&engine, &instance, &image, &cache, "next");
    let step = next.run("main.js", PULLED);
    assert!(said(&step, &next, &cache).contains("the Engine has it"), "{step:?}");
    assert_eq!(next.run("post.js", "").code, 0);
    assert_eq!(cache.asked(), [""; 0]);
    forget(&engine, &image, &before);

    // Another machine, and no registry in reach.
    drop(registry);
    let second = cached(&engine, &instance, &image, &cache, "second");
    let step = second.run("main.js", "");
    assert_eq!(step.code, 0, "{step:?}");
    assert!(said(&step, &second, &cache).contains("Node image: loaded"), "{step:?}");
    assert!(second.text("summary").contains("on kind"), "{}", second.text("summary"));
    let nodes = engine.docker(&["ps", "--format", "{{.Image}}"]).success();
    assert_eq!(nodes.trim(), format!("{LOADED}{}", instance.name()));

    // A job beside it has no need to load it again, and keeps it.
    let other = Instance::prepare_kind(&engine, &image);
    cache.asked();
    let beside = cached(&engine, &other, &image, &cache, "beside");
    let step = beside.run("main.js", PULLED);
    assert!(said(&step, &beside, &cache).contains("Node image: loaded"), "{step:?}");
    let asked = cache.asked();
    assert!(asked.len() == 1 && !asked[0].contains("/storage/"), "{asked:?}");
    let end = second.run("post.js", "");
    assert_eq!(end.code, 0, "{end:?}");
    assert!(!said(&end, &second, &cache).contains("::warning::"), "{end:?}");
    assert_eq!((second.left(), cache.keys()), (Vec::new(), keys));
    assert!(has(&engine, &format!("{LOADED}{}", other.name())), "{:?}", engine.scan());
    assert_eq!(beside.run("post.js", "").code, 0);
    engine.assert_as(&before);

    // Not from the cache where that is not wanted.
    cache.asked();
    let third = cached(&engine, &instance, &image, &cache, "third").with("INPUT_CACHE", "false");
    let step = third.run("main.js", "");
    assert!(step.code == 1 && step.stderr.contains("node image"), "{step:?}");
    assert_eq!(third.run("post.js", "").code, 0);
    assert_eq!(cache.asked(), [""; 0]);
    instance.assert_no_residue();
    engine.assert_as(&before);
}

#[test]
fn a_cache_that_fails_costs_a_pull_and_a_warning() {
    let engine = Engine::start();
    let (registry, cache) = (Registry::of_the_node_image(), ActionsCache::serve());
    let (image, before) = (registry.image(), engine.scan());
    let instance = Instance::prepare_kind(&engine, &image);
    // What one job says at its beginning and its end, after which the Engine is as it was.
    let run = |name: &str| {
        let job = cached(&engine, &instance, &image, &cache, name);
        let step = job.run("main.js", PULLED);
        assert!(has(&engine, MARK) && !has(&engine, LOADED), "{name}: {step:?}");
        let end = job.run("post.js", "");
        assert_eq!((end.code, is_left(&job)), (0, false), "{name}: {end:?}");
        forget(&engine, &image, &before);
        (said(&step, &job, &cache), said(&end, &job, &cache))
    };

    cache.set(Weather::Down);
    let (step, end) = run("down");
    assert!(step.contains("::warning::The node image is not from the cache"), "{step}");
    assert!(step.contains("GetCacheEntryDownloadURL: status 503"), "{step}");
    assert!(end.contains("::warning::The node image is not in the cache"), "{end}");
    cache.set(Weather::ReadOnly);
    let (_, end) = run("read-only");
    assert!(end.contains("::warning::") && end.contains("cache write denied"), "{end}");
    assert_eq!(cache.keys(), [""; 0]);

    cache.set(Weather::Fair);
    let (_, end) = run("fair");
    assert!(end.contains("Node image: saved"), "{end}");
    let key = cache.keys().pop().unwrap();
    cache.set(Weather::Cut);
    let (step, end) = run("cut");
    assert!(step.contains("::warning::") && step.contains(&key), "{step}");
    assert!(!end.contains("::warning::"), "an entry never changes: {end}");
    cache.set(Weather::Fair);

    cache.replace(b"no archive");
    assert!(run("garbage").0.contains("::warning::"));
    // An archive of another image does not stay in the Engine either.
    let archive = instance.scratch().join("other.tar");
    busybox_archive(&archive, "docker.io/library/other:1", "another").unwrap();
    cache.replace(&compressed(&archive));
    let (step, _) = run("other");
    assert!(step.contains("it is not the image that was saved"), "{step}");
    assert!(step.contains(&format!("delete the cache's entry {key}")), "{step}");
    instance.assert_no_residue();
}

#[test]
fn where_there_is_nothing_to_cache_with_the_step_says_so() {
    let engine = Engine::start();
    let (cache, before) = (ActionsCache::serve(), engine.scan());
    let image = format!("localhost:1/node:v1@sha256:{}", "0".repeat(64));
    let instance = Instance::prepare_kind(&engine, &image);
    let without = |name: &str| job(&engine, &instance, &image, name);
    let with = |image: &str, name: &str| cached(&engine, &instance, image, &cache, name);
    for (job, why) in [
        (without("none"), "the runner offers no cache service"),
        (
            with(&image, "enterprise").with("GITHUB_SERVER_URL", "https://github.example.com"),
            "github.example.com has no cache service",
        ),
        (with("localhost:1/node:v1", "tag"), "localhost:1/node:v1 has no digest"),
        (with("", "default"), "it is not there yet"),
        (with(&image, "no Engine").with("DOCKER_HOST", "unix:///nonexistent"), "finds no Engine"),
        (with(&image, "no docker").with("PATH", "/nonexistent"), "there is no `docker` here"),
    ] {
        let step = job.run("main.js", "cluster/node-image:before-do:fail");
        assert_eq!(step.code, 1, "{step:?}");
        let said = said(&step, &job, &cache);
        let line = said.lines().find(|line| line.starts_with("Node image: not from the cache"));
        assert!(line.is_some_and(|line| line.contains(why)), "{why}: {said}");
        assert!(!said.contains("::warning::"), "{said}");
        assert_eq!(job.run("post.js", "").code, 0);
    }
    // The image that nobody names is the one of `up`, by its digest.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/provider/kind/node_image.rs");
    let source = fs::read_to_string(source).unwrap();
    let default = source.split_once("DEFAULT: &str").unwrap().1.split(';').next().unwrap();
    let digest = default.rsplit("sha256:").next().unwrap();
    let digest = digest.trim_matches(|letter: char| !letter.is_ascii_hexdigit());
    let asked = cache.asked();
    assert!(digest.len() == 64 && asked.len() == 1 && asked[0].contains(digest), "{asked:?}");
    instance.assert_no_residue();
    engine.assert_as(&before);
}

#[test]
fn an_entry_is_written_once_and_read_whole_over_any_connection() {
    let cache = ActionsCache::serve();
    cache.set(Weather::Flaky);
    write_and_read(cache.environment(), &cache);
    let cache = ActionsCache::serve();
    write_and_read(cache.environment_behind_a_proxy(), &cache);
}

#[track_caller]
fn write_and_read(environment: Vec<(&str, String)>, cache: &ActionsCache) {
    let folder = tempfile::tempdir().unwrap();
    // Blocks, the last of which is not full.
    let code = "(async () => {
        const [, module, folder] = process.argv;
        const cache = require(module);
        const fs = require('fs');
        const content = require('crypto').randomBytes(40 << 20);
        fs.writeFileSync(`${folder}/in`, content);
        console.log(await cache.save('a-key-1', 'bytes', `${folder}/in`));
        console.log(await cache.save('a-key-1', 'bytes', `${folder}/in`));
        const { key, url } = await cache.find('a-key-', 'bytes');
        await cache.download(url, `${folder}/out`);
        console.log(key, fs.readFileSync(`${folder}/out`).equals(content));
        console.log(await cache.find('a-key-1', 'others'), await cache.find('b', 'bytes'));
    })()";
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup-curtain/cache.js");
    let mut node = Command::new(Clients::find().node());
    node.args(["-e", code]).arg(module).arg(folder.path()).envs(environment);
    let said = Output::of(node).success();
    assert_eq!(said, format!("{}\n0\na-key-1 true\nundefined undefined\n", 40 << 20));
    let asked = cache.asked();
    let blocks: BTreeSet<_> = asked.iter().filter(|one| one.contains("comp=block&")).collect();
    assert!(blocks.len() > 2, "{asked:?}");
}

/// A file as an entry holds it.
fn compressed(file: &Path) -> Vec<u8> {
    let out = file.with_extension("zst");
    let code = "const [, from, to] = process.argv; const fs = require('fs');
        fs.writeFileSync(to, require('zlib').zstdCompressSync(fs.readFileSync(from)))";
    let mut node = Command::new(Clients::find().node());
    Output::of(node.args(["-e", code]).args([file, &out])).success();
    fs::read(out).unwrap()
}
