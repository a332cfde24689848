// The step itself: gets curtain, brings the instance up, and tells the job where everything is.
'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');
const curtain = require('./curtain');
const nodeImage = require('./node-image');
const runner = require('./runner');

/** Archives that `up` makes of the nodes of an instance, where temporary files are. */
function archives(name) {
  return fs.readdirSync(os.tmpdir()).filter((file) => file.startsWith(`curtain-evidence-${name}-`));
}

/** What is known about a failure, in a folder for the next step to upload: what `up` left, and a bundle. */
function evidence(ask, name, before, command) {
  const folder = fs.mkdtempSync(path.join(runner.place('RUNNER_TEMP'), 'curtain-evidence-'));
  const as = command[0] === 'sudo' ? ['sudo', '-n'] : [];
  archives(name).filter((file) => !before.includes(file))
    .forEach((file) => curtain.run([...as, 'mv', path.join(os.tmpdir(), file), folder], []));
  // An older curtain makes none.
  if (ask(['support-bundle', '--help'], { quiet: true }).ok) {
    ask(['support-bundle', path.join(folder, `curtain-support-${name}.tar.gz`), '--name', name]);
  }
  if (as.length > 0) curtain.run([...as, 'chown', '-R', String(process.getuid()), folder], []);
  if (fs.readdirSync(folder).length > 0) runner.output('evidence', folder);
  else fs.rmdirSync(folder);
}

function summary(name, provider, seconds, rows) {
  const table = rows.map(([what, value]) => `| ${what} | ${value} |`).join('\n');
  return `### Curtain: \`${name}\` on ${provider}, up in ${seconds.toFixed(1)} s\n\n| What | Where |\n|---|---|\n${table}\n\n`;
}

async function main() {
  if (process.platform !== 'linux') throw new Error(`this action is for runners with Linux; this one has ${process.platform}`);
  const name = runner.input('name') || 'default';
  // Hosted runners have an Engine, which `auto` would take with a download for its nodes.
  const provider = runner.input('provider') || 'embedded';
  const temp = runner.place('RUNNER_TEMP');
  const given = runner.input('binary');
  const binary = given
    ? path.resolve(given)
    : curtain.install(runner.input('version') || 'latest', runner.place('RUNNER_TOOL_CACHE'));

  // A home of the job's, whoever `sudo` makes of us.
  const env = { CURTAIN_HOME: path.join(temp, 'curtain') };
  const command = curtain.words(binary, provider);
  const ask = (args, options) => curtain.run(command, args, { env, ...options });

  // Before anything is made, so that post.js undoes it whatever happens here.
  runner.remember('command', JSON.stringify(command));
  runner.remember('name', name);
  runner.remember('home', env.CURTAIN_HOME);
  runner.variable('CURTAIN_HOME', env.CURTAIN_HOME);
  runner.variable('CURTAIN_NAME', name);
  runner.path(path.dirname(binary));
  runner.output('command', command.join(' '));

  const flags = ['--name', name, '-o', 'json', '--timeout', runner.input('timeout') || '5m', '--provider', provider];
  const asked = runner.input('node-image');
  const loaded = provider === 'kind' ? await nodeImage.bring(ask, asked, name) : '';
  if (loaded || asked) flags.push('--node-image', loaded || asked);
  const before = archives(name);
  // It keeps its own time; this is for when it does not.
  const up = ask(['up', ...flags], { seconds: 3600 });
  if (!up.ok) {
    evidence(ask, name, before, command);
    throw new Error(`curtain up failed: ${up.ended}; the lines above say why`);
  }
  const facts = JSON.parse(up.stdout);

  const answer = (args) => {
    const said = ask([...args, '--name', name, '-o', 'json']);
    if (!said.ok) throw new Error(`curtain ${args.join(' ')} failed: ${said.ended}`);
    return JSON.parse(said.stdout);
  };
  // No secret is anywhere before its mask is.
  answer(['credentials']).forEach((one) => one.secret && runner.mask(one.secret));
  const whose = runner.input('token-for') || 'developer';
  const { token } = answer(['token', '--as', whose]);
  runner.mask(token);
  runner.output('token', token);

  // Root's own is for root alone; the job's steps read a copy.
  const kubeconfig = path.join(temp, `curtain-kubeconfig-${name}`);
  const text = command[0] === 'sudo'
    ? curtain.run(['sudo', '-n', 'cat'], [facts.kubeconfig]).stdout
    : fs.readFileSync(facts.kubeconfig, 'utf8');
  fs.writeFileSync(kubeconfig, text, { mode: 0o600 });
  runner.remember('kubeconfig', kubeconfig);
  runner.output('kubeconfig', kubeconfig);

  const { portal, api, mcp, observerMcp, gateway } = facts.endpoints;
  const urls = { portal, api, mcp, 'observer-mcp': observerMcp, gateway };
  Object.entries(urls).forEach(([what, url]) => runner.output(what, url));
  runner.summary(summary(name, facts.provider, facts.seconds, [
    ['Portal', portal], ['API', api], ['MCP', mcp], ['MCP, observer', observerMcp], ['Applications', gateway],
    ['Kubeconfig', `\`${kubeconfig}\``], ['Token', `of ${whose}, in the output \`token\``],
  ]));
}

main().catch(runner.failed);
