// What a GitHub runner offers to an action: inputs, outputs, state, masks and the summary, all by its documented files
// and commands, so that nothing has to be installed or bundled.
'use strict';

const crypto = require('crypto');
const fs = require('fs');

/** An input of action.yml, or '' where there is none. */
function input(name) {
  return (process.env[`INPUT_${name.toUpperCase()}`] || '').trim();
}

/** A folder or file that the runner names, which every runner does. */
function place(variable) {
  const path = process.env[variable];
  if (!path) throw new Error(`${variable} is not set: this runs as a step of GitHub Actions`);
  return path;
}

/** Appends `name` with any value, lines and all, to one of the runner's files. */
function record(variable, name, value) {
  const end = `end-${crypto.randomUUID()}`;
  fs.appendFileSync(place(variable), `${name}<<${end}\n${value}\n${end}\n`);
}

/** A workflow command: one line, whatever the text is. */
function command(name, text) {
  const line = text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  process.stdout.write(`::${name}::${line}\n`);
}

module.exports = {
  input,
  place,
  /** An output of this step. */
  output: (name, value) => record('GITHUB_OUTPUT', name, value),
  /** A variable of all later steps. */
  variable: (name, value) => record('GITHUB_ENV', name, value),
  /** A folder of programs for all later steps. */
  path: (folder) => fs.appendFileSync(place('GITHUB_PATH'), `${folder}\n`),
  /** Something that post.js is to know. */
  remember: (name, value) => record('GITHUB_STATE', name, value),
  /** What main.js remembered, or ''. */
  remembered: (name) => process.env[`STATE_${name}`] || '',
  /** From here on, logs show *** instead; each line of a secret on its own. */
  mask: (secret) => secret.split(/\r?\n/).filter(Boolean).forEach((line) => command('add-mask', line)),
  /** Markdown for the job's page. */
  summary: (text) => fs.appendFileSync(place('GITHUB_STEP_SUMMARY'), text),
  /** A line of the log that stands out. */
  warning: (text) => command('warning', text),
  /** The same, and the end of the step with a failure. */
  failed: (error) => {
    command('error', error.message || String(error));
    process.exitCode = 1;
  },
};
