// kind's node image between jobs: out of the cache where the Engine lacks it, and into it after `up` had to pull one.
//
// An image is known by its id, which is the digest of what it is: the id ends the key of its entry, and the archive has
// no names in it. What is loaded and cannot be found by that id is not what was saved. The loaded image gets one name,
// of this job's instance alone, and is gone with it: jobs that share an Engine do not take each other's image away.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const { promises: { pipeline } } = require('stream');
const zlib = require('zlib');
const cache = require('./cache');
const curtain = require('./curtain');
const runner = require('./runner');

/** What an entry holds. */
const CONTENT = 'one image, by its id, as docker saves it, with zstd';
/** Minutes that saving or loading an image may take. */
const PATIENCE = 10;

/** Asks the Engine: what it printed, or undefined where it refused. */
function docker(engine, ...args) {
  const said = curtain.run(['docker', '--host', engine], args, { quiet: true, seconds: 60 });
  return said.ok ? said.stdout.trim() : undefined;
}

/** Has `docker` read an archive from the streams `from`, or write one into `into`; what it printed otherwise. */
async function archive(engine, args, { from, into }) {
  const child = spawn('docker', ['--host', engine, ...args], { timeout: PATIENCE * 60_000 });
  let [said, complaint] = ['', ''];
  child.stderr.on('data', (text) => { complaint = (complaint + text).slice(-500); });
  if (from) child.stdout.on('data', (text) => { said += text; });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`docker ${args[0]}: ${complaint.trim() || signal || `exit code ${code}`}`));
    });
  });
  const moved = from ? pipeline(...from, child.stdin) : pipeline(child.stdout, ...into);
  const both = await Promise.allSettled([ended, moved]);
  // Its own words say more than that a pipe broke.
  const failed = both.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return said;
}

/** The id of the image that the Engine has from a registry, by that digest. */
function pulled(engine, name, digest) {
  return docker(engine, 'image', 'inspect', '--format', '{{.Id}}', `${name.replace(/:[^/:]*$/, '')}@${digest}`);
}

/** Whether the image is in the Engine, by the rules of `up`: one of that name without any digest came from a file. */
function present(engine, name, digest) {
  if (pulled(engine, name, digest)) return true;
  const digests = docker(engine, 'image', 'inspect', '--format', '{{json .RepoDigests}}', name);
  return digests === '[]' || digests === 'null' || (digests || '').includes(digest);
}

/** The image that `up` will want and where; or why there is nothing to do for it. */
function wanted(ask, asked) {
  if (!curtain.run(['docker'], ['--version'], { quiet: true }).ok) return { not: 'there is no `docker` here' };
  // An earlier step may have named an instance that is gone; the machine is what is asked about.
  const findings = JSON.parse(ask(['doctor', '--name', 'default', '-o', 'json'], { quiet: true }).stdout || '[]');
  const subject = (name) => (findings.find((one) => one.name === name) || {}).subject;
  const engine = subject('engine');
  if (!engine) return { not: 'this curtain finds no Engine, or does not say which' };
  const image = asked || process.env.CURTAIN_NODE_IMAGE || subject('node image');
  const [name, digest] = image.split('@');
  if (!digest) return { not: `${image} has no digest, so it may be another image tomorrow` };
  if (present(engine, name, digest)) return { not: 'the Engine has it' };
  const not = cache.missing();
  if (not) return { not };
  // Kinds of storage in an Engine have other ids, and other archives.
  const place = docker(engine, 'info', '--format', '{{.Driver}}-{{.Architecture}}');
  if (!place) return { not: 'the Engine does not say what it is' };
  return { engine, name, digest, prefix: `curtain-node-image-${place}-${digest.replace('sha256:', '')}-` };
}

/** A file for an archive, gone when `use` has ended. */
async function temporary(use) {
  const folder = fs.mkdtempSync(path.join(runner.place('RUNNER_TEMP'), 'curtain-node-image-'));
  try {
    return await use(path.join(folder, 'image.tar.zst'));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Loads an archive in which the image `id` should be, and gives that image a name. */
async function load(engine, file, id, name) {
  const images = () => (docker(engine, 'image', 'ls', '--all', '--quiet', '--no-trunc') || '').split('\n');
  const before = images();
  const from = [fs.createReadStream(file), zlib.createZstdDecompress()];
  const said = await archive(engine, ['load', '--quiet'], { from });
  if (docker(engine, 'tag', id, name) !== undefined) return;
  for (const [, loaded] of said.matchAll(/^Loaded image(?: ID)?: (\S+)/gm)) {
    const is = docker(engine, 'image', 'inspect', '--format', '{{.Id}}', loaded);
    if (!before.includes(is)) docker(engine, 'image', 'rm', loaded);
  }
  throw new Error('it is not the image that was saved');
}

/** Out of the cache into the Engine, with a name: the key of the entry it was in, or undefined where there is none. */
async function restore({ engine, prefix }, name) {
  const found = cache.may('read') ? await cache.find(prefix, CONTENT) : undefined;
  if (!found) return undefined;
  const id = `sha256:${found.key.slice(prefix.length)}`;
  // Anything else may be the beginning of another image's id, or a line for the runner in the log.
  if (!/^sha256:[0-9a-f]{64}$/.test(id)) throw new Error(`the cache's entry ${found.key} does not end with an id`);
  // Another job on this machine may have loaded it.
  if (docker(engine, 'tag', id, name) !== undefined) return found.key;
  try {
    await temporary(async (file) => {
      await cache.download(found.url, file);
      await load(engine, file, id, name);
    });
  } catch (error) {
    // An entry never changes: a bad one is there until somebody deletes it.
    throw new Error(`${error.message}; if that stays, delete the cache's entry ${found.key}`);
  }
  return found.key;
}

/** Before `up`: the name of the image that was loaded for it, or '' where it gets its image by itself. */
async function bring(ask, asked, instance) {
  if (runner.input('cache').toLowerCase() === 'false') return '';
  const own = `curtain.local/setup-curtain:${instance}`;
  try {
    const want = wanted(ask, asked);
    // Before anything has that name, so that post.js takes it away also where the job is cancelled before `up`.
    if (!want.not) runner.remember('node-image', JSON.stringify({ ...want, own }));
    const key = want.not ? undefined : await restore(want, own);
    const not = want.not || (cache.may('read') ? 'it is not there yet' : 'this job may not read that');
    console.log(key ? `Node image: loaded, from the cache's entry ${key}.` : `Node image: not from the cache, as ${not}.`);
    return key ? own : '';
  } catch (error) {
    runner.warning(`The node image is not from the cache, as that failed: ${error.message}`);
    return '';
  }
}

/** Saves the image that `up` pulled, unless another job did meanwhile. What came from a file is not known to be it. */
async function save({ engine, name, digest, prefix }) {
  const id = pulled(engine, name, digest);
  // `up` did not come as far.
  if (!id || !cache.may('write')) return;
  if (cache.may('read') && await cache.find(prefix, CONTENT)) return;
  const key = prefix + id.replace('sha256:', '');
  await temporary(async (file) => {
    const checked = { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1 } };
    const into = [zlib.createZstdCompress(checked), fs.createWriteStream(file)];
    await archive(engine, ['save', id], { into });
    const bytes = await cache.save(key, CONTENT, file);
    console.log(bytes > 0 ? `Node image: saved as the cache's entry ${key}, ${Math.ceil(bytes / 1e6)} MB.`
      : `Node image: not saved, as another job saves the cache's entry ${key}, or began to.`);
  });
}

/** After `down`: takes a loaded image away, and saves one that was pulled, which stays as `down` leaves it. */
async function settle() {
  const want = JSON.parse(runner.remembered('node-image') || 'null');
  if (!want) return;
  if (docker(want.engine, 'image', 'inspect', '--format', '{{.Id}}', want.own)) {
    if (docker(want.engine, 'image', 'rm', want.own) === undefined) {
      runner.warning(`The node image ${want.own} stays: a container uses it, or the Engine does not answer`);
    }
    return;
  }
  try {
    await save(want);
  } catch (error) {
    runner.warning(`The node image is not in the cache, as saving it failed: ${error.message}`);
  }
}

module.exports = { bring, settle };
