// The cache that a runner offers to actions. An entry is one file, written once, and found by the beginning of its key.
//
// Nothing here prints, and no message has a URL in it: they are signed.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const https = require('https');
const { promises: { pipeline } } = require('stream');
const { text } = require('stream/consumers');
const { setTimeout: pause } = require('timers/promises');

const SERVICE = '/twirp/github.actions.results.api.v1.CacheService/';
/** Bytes of an upload that are sent at once, and again when that fails; this many are in memory for each of HANDS. */
const BLOCK = 16 << 20;
const HANDS = 4;
const ATTEMPTS = 3;
/** Seconds for a request, for all attempts at a download, and during which nothing comes. */
const REQUEST = 60;
const DOWNLOAD = 600;
const STALLED = 15;
/** The storage's protocol, in a version that takes blocks of this size. */
const STORAGE = { 'x-ms-version': '2021-12-02' };

/** Why there is no cache, or '' where there is one. */
function missing() {
  const host = new URL(process.env.GITHUB_SERVER_URL || 'https://github.com').hostname;
  // An enterprise's own server says that it has this service, and has the one before.
  if (!/(^github\.com|\.ghe\.com|\.localhost)$/.test(host)) return `${host} has no cache service of this kind`;
  const needed = ['ACTIONS_CACHE_SERVICE_V2', 'ACTIONS_RESULTS_URL', 'ACTIONS_RUNTIME_TOKEN'];
  const lacks = needed.filter((variable) => !process.env[variable]);
  return lacks.length > 0 ? `the runner offers no cache service (no ${lacks.join(', ')})` : '';
}

/** Whether this job may `read` or `write`, as far as the runner says. */
function may(what) {
  const mode = (process.env.ACTIONS_CACHE_MODE || '').trim().toLowerCase();
  return !(what === 'read' ? ['none', 'write-only'] : ['none', 'read']).includes(mode);
}

/** What an entry's content is, for the service: entries of another version are not found. */
function version(of) {
  return crypto.createHash('sha256').update(of).digest('hex');
}

/** Tries a few times; `final` errors only once. */
async function patiently(attempt) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (error.final || tried === ATTEMPTS) throw error;
    }
    await pause(tried * 1000);
  }
}

let proxied = false;

/** The runner's variables for a proxy count here, too, where Node knows how. It throws where they are no URLs. */
function proxy() {
  if (proxied || !http.setGlobalProxyFromEnv) return;
  try {
    http.setGlobalProxyFromEnv();
  } catch {
    // What Node says has the variable's value in it, which may have a password.
    throw Object.assign(new Error('what `http_proxy` or `https_proxy` says is no URL'), { final: true });
  }
  proxied = true;
}

/** The answer to one request, its body yet to be read. Not by `fetch`, which may end Node when a connection closes. */
function ask(what, url, { signal, body, ...options }) {
  return new Promise((resolve, reject) => {
    const { request } = String(url).startsWith('http:') ? http : https;
    const asked = request(url, { ...options, timeout: STALLED * 1000, signal }, resolve);
    asked.on('timeout', () => asked.destroy(new Error(`nothing came for ${STALLED} s`)));
    asked.on('error', (error) => reject(new Error(`${what}: ${error.code || error.message}`)));
    asked.end(body);
  });
}

/** The same, where whatever is no success is an error. */
async function request(what, url, options) {
  const answer = await ask(what, url, options);
  const status = answer.statusCode;
  if (status >= 200 && status < 300) return answer;
  let why = '';
  // The service says why in JSON; storage answers with XML, which repeats what it was asked.
  try {
    const { msg } = JSON.parse(await text(answer));
    if (msg) why = `, ${msg}`;
  } catch { /* Its status has to do. */ }
  throw Object.assign(new Error(`${what}: status ${status}${why}`), { status, final: status < 500 && status !== 408 });
}

/** Calls a method of the service. */
function call(method, message) {
  return patiently(async () => {
    proxy();
    const answer = await request(method, new URL(SERVICE + method, process.env.ACTIONS_RESULTS_URL), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${process.env.ACTIONS_RUNTIME_TOKEN}` },
      body: JSON.stringify(message),
      signal: AbortSignal.timeout(REQUEST * 1000),
    });
    try {
      return JSON.parse(await text(answer));
    } catch {
      // What the parser says shows some of the text.
      throw new Error(`${method}: no answer in JSON`);
    }
  });
}

/** The newest entry whose key begins with `prefix`: its key and where its file is; or undefined. */
async function find(prefix, of) {
  const said = await call('GetCacheEntryDownloadURL', { key: prefix, restore_keys: [prefix], version: version(of) });
  return said.ok ? { key: said.matched_key, url: said.signed_download_url } : undefined;
}

/** Writes what is at `url` into `file`; what breaks off is an error. */
function download(url, file) {
  // What is slow once is slow again: attempts are for what breaks off.
  const signal = AbortSignal.timeout(DOWNLOAD * 1000);
  return patiently(async () => {
    const answer = await request('download', url, { signal });
    await pipeline(answer, fs.createWriteStream(file)).catch((error) => {
      throw new Error(`download: ${error.code || error.message}`);
    });
  }).catch((error) => {
    throw signal.aborted ? new Error(`download: not done in ${DOWNLOAD} s`) : error;
  });
}

/** Puts a file into storage: its blocks in any order, then the list of them, which makes it one. */
async function upload(url, file) {
  const { size } = fs.statSync(file);
  const put = (query, body) => patiently(async () => (await request('upload', `${url}&${query}`, {
    method: 'PUT', headers: STORAGE, body, signal: AbortSignal.timeout(REQUEST * 1000),
  })).resume());
  const count = Math.ceil(size / BLOCK);
  const ids = Array.from({ length: count }, (_, at) => Buffer.from(String(at).padStart(6, '0')).toString('base64'));
  const opened = await fs.promises.open(file);
  try {
    const rest = ids.entries();
    const hand = async () => {
      for (const [at, id] of rest) {
        const part = Buffer.alloc(Math.min(BLOCK, size - at * BLOCK));
        await opened.read(part, 0, part.length, at * BLOCK);
        await put(`comp=block&blockid=${encodeURIComponent(id)}`, part);
      }
    };
    await Promise.all(Array.from({ length: HANDS }, hand));
  } finally {
    await opened.close();
  }
  const list = ids.map((id) => `<Latest>${id}</Latest>`).join('');
  await put('comp=blocklist', `<?xml version="1.0" encoding="utf-8"?><BlockList>${list}</BlockList>`);
  return size;
}

/** Makes an entry of a file, and says how many bytes it has; 0 where somebody else made that entry before. */
async function save(key, of, file) {
  const entry = { key, version: version(of) };
  let made;
  try {
    made = await call('CreateCacheEntry', entry);
  } catch (error) {
    if (error.status === 409) return 0;
    throw error;
  }
  if (!made.ok) throw new Error(`CreateCacheEntry: ${made.message || 'refused'}`);
  const size = await upload(made.signed_upload_url, file);
  const done = await call('FinalizeCacheEntryUpload', { ...entry, size_bytes: String(size) });
  if (!done.ok) throw new Error(`FinalizeCacheEntryUpload: ${done.message || 'refused'}`);
  return size;
}

module.exports = { missing, may, find, download, save };
