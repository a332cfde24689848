// The end of the job: takes the instance away, and fails the job where something stays.
'use strict';

const fs = require('fs');
const curtain = require('./curtain');
const nodeImage = require('./node-image');
const runner = require('./runner');

function down(command) {
  const name = runner.remembered('name');
  const home = runner.remembered('home');
  const kubeconfig = runner.remembered('kubeconfig');
  if (kubeconfig) fs.rmSync(kubeconfig, { force: true });

  const said = curtain.run(JSON.parse(command), ['down', '--name', name, '-o', 'json'], { env: { CURTAIN_HOME: home } });
  if (!said.ok) throw new Error(`curtain down failed: ${said.ended}; the lines above say what is left`);
  const { removed, leftovers } = JSON.parse(said.stdout);
  if (leftovers.length > 0) throw new Error(`curtain left something: ${JSON.stringify(leftovers)}`);
  console.log(`Instance ${name} is gone: ${removed} things removed, nothing left.`);
  runner.summary(`Curtain: \`${name}\` is gone, ${removed} things removed, nothing left.\n`);
}

async function main() {
  const command = runner.remembered('command');
  // The step never came as far as making something.
  if (!command) return;
  try {
    down(command);
  } finally {
    await nodeImage.settle();
  }
}

main().catch(runner.failed);
