// The curtain binary: where it is, and how it is run.
'use strict';

const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');

/** The binary of a release, from the runner's tool cache or put there by install.sh. */
function install(version, toolCache) {
  const place = (of) => path.join(toolCache, 'curtain', of, process.arch);
  // Which one is the latest is asked each time.
  const wanted = version.replace(/^v/, '');
  const cached = place(wanted);
  if (fs.existsSync(`${cached}.complete`)) return path.join(cached, 'curtain');

  const fresh = fs.mkdtempSync(path.join(toolCache, 'curtain-'));
  try {
    const which = wanted === 'latest' ? [] : ['--version', wanted];
    const script = path.join(__dirname, '..', 'install.sh');
    // What it prints is for people with a terminal of their own.
    const done = spawnSync('sh', [script, '--dir', fresh, ...which], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (done.status !== 0) throw new Error(`curtain ${version} could not be installed`);
    const said = spawnSync(path.join(fresh, 'curtain'), ['--version'], { encoding: 'utf8' }).stdout.trim();
    const folder = place(said.replace(/^curtain /, ''));
    fs.mkdirSync(folder, { recursive: true });
    fs.renameSync(path.join(fresh, 'curtain'), path.join(folder, 'curtain'));
    // As the runner marks a tool that is there as a whole.
    fs.writeFileSync(`${folder}.complete`, '');
    return path.join(folder, 'curtain');
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
}

/** The words that run the binary: the embedded cluster is root's, and `auto` may choose it. */
function words(binary, provider) {
  const needsRoot = provider !== 'kind' && provider !== 'existing';
  return process.getuid() !== 0 && needsRoot ? ['sudo', '-n', '-E', binary] : [binary];
}

/** Runs `command` with `args`: what it prints, and how it ended. Its own progress goes to the log. */
function run(command, args, { env = {}, seconds = 300, quiet = false } = {}) {
  const done = spawnSync(command[0], [...command.slice(1), ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', quiet ? 'ignore' : 'inherit'],
    timeout: seconds * 1000,
  });
  const ended = done.error ? done.error.message : done.signal ? `ended by ${done.signal}` : `exit code ${done.status}`;
  return { ok: done.status === 0, stdout: done.stdout || '', ended };
}

module.exports = { install, words, run };
