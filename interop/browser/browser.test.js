'use strict';

// watson-speech in Chromium: models, file upload and the microphone, with the streams that it puts behind recognition.

const { test, before, after, beforeEach, afterEach } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { chromium } = require('playwright-core');

const MATERIAL = JSON.parse(fs.readFileSync(process.env.INTEROP_MATERIAL, 'utf8'));
const { url: URL, key: KEY, recordings: RECORDINGS } = MATERIAL;

// The page is another origin than Dictum's, as an application's is.
const SERVED = {
  '/': ['text/html', path.join(__dirname, 'page.html')],
  '/watson-speech.js': ['text/javascript', require.resolve('watson-speech/dist/watson-speech.min.js')],
  '/speech.wav': ['audio/wav', RECORDINGS.wav.path],
};

let server, browser, token, page, origin;

before(async () => {
  server = http.createServer((request, response) => {
    const [type, file] = SERVED[request.url] ?? [];
    response.writeHead(file ? 200 : 404, { 'Content-Type': type ?? 'text/plain' });
    response.end(file && fs.readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
  browser = await chromium.launch({
    executablePath: await which(process.env.INTEROP_BROWSER),
    // Everything that would reach out to the network is off; the microphone plays a file, once.
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${RECORDINGS.microphone.path}%noloop`,
    ],
  });
  // A page is given a token, never the key (AUTH-10).
  const answer = await fetch(`${URL}/identity/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: KEY }),
  });
  token = (await answer.json()).access_token;
});

after(async () => {
  await browser?.close();
  server?.close();
});

beforeEach(async () => {
  page = await browser.newPage();
  await page.goto(origin);
});

afterEach(() => page.close());

async function which(name) {
  const places = process.env.PATH.split(path.delimiter).map((place) => path.join(place, name));
  return places.find((place) => fs.existsSync(place));
}

// Uploads a recording through the page's file input, or speaks it into the microphone, and returns what happened.
async function session(call, name, options, stopAfter) {
  if (name) {
    await page.setInputFiles('#file', RECORDINGS[name].path);
  }
  const given = { url: URL, accessToken: token, ...options, ...(name && { upload: true }) };
  await page.evaluate(([call, options, stopAfter]) => window.prepare(call, options, stopAfter), [call, given, stopAfter]);
  await page.click('#begin');
  return page.evaluate(() => window.session);
}

function transcripts(messages) {
  return messages.flatMap((message) => message.results.map((result) => result.alternatives[0].transcript));
}

function finals(messages) {
  return messages.filter((message) => message.results?.[0]?.final);
}

// What the formatting stream makes of a transcript: a capital and a period.
function sentence(transcript) {
  const text = transcript.trim();
  return `${text[0].toUpperCase()}${text.slice(1)}. `;
}

const SENTENCES = RECORDINGS.pauses.transcripts.map(sentence);

for (const credential of ['accessToken', 'token']) {
  test(`models, from another origin, with ${credential}`, async () => {
    const names = await page.evaluate(
      async (options) => (await WatsonSpeech.SpeechToText.getModels(options)).map((model) => model.name),
      { url: URL, [credential]: token },
    );
    assert.ok(names.includes('en-US_BroadbandModel'), names.join());
  });
}

test('a file, as formatted text', async () => {
  const { data, events, errors } = await session('recognizeFile', 'pauses', {});
  assert.deepEqual(errors, []);
  assert.deepEqual(data, SENTENCES);
  assert.deepEqual(events, ['open', 'listening', 'data', 'end']);
});

test('a file, as plain text, with the old kind of token', async () => {
  const { data, errors } = await session('recognizeFile', 'pauses', { accessToken: undefined, token, format: false });
  assert.deepEqual(errors, []);
  assert.deepEqual(data, RECORDINGS.pauses.transcripts);
});

test('a file, as objects, with interim results', async () => {
  const { data, errors, code } = await session('recognizeFile', 'pauses', { objectMode: true, format: false });
  assert.deepEqual(errors, []);
  assert.equal(code, 1005, 'the SDK closes without a code, and that is what comes back');
  assert.ok(data.every((message) => message.results.length === 1));
  assert.deepEqual(transcripts(finals(data)), RECORDINGS.pauses.transcripts);
  assert.ok(data.length > finals(data).length, 'interim results');
});

for (const name of ['flac', 'ogg']) {
  test(`a file of ${name}`, { skip: !RECORDINGS[name] && 'nothing here to make it with' }, async () => {
    const { data, errors } = await session('recognizeFile', name, { format: false });
    assert.deepEqual(errors, []);
    assert.deepEqual(data, RECORDINGS[name].transcripts);
  });
}

test('a file that the page names by its address', async () => {
  const { data, errors } = await session('recognizeFile', null, { file: `${origin}/speech.wav`, format: false });
  assert.deepEqual(errors, []);
  assert.deepEqual(data, RECORDINGS.wav.transcripts);
});

test('silence', async () => {
  const { data, errors, events } = await session('recognizeFile', 'silence', {});
  assert.deepEqual([data, errors, events], [[], [], ['open', 'listening', 'end']]);
});

test('the timing stream holds words back until they are said', async () => {
  const { data, times, errors } = await session('recognizeFile', 'pauses', { realtime: true, objectMode: true });
  assert.deepEqual(errors, []);
  assert.deepEqual(transcripts(finals(data)), SENTENCES);
  data.forEach((message, i) => {
    const said = message.results[0].alternatives[0].timestamps.at(-1)[2];
    assert.ok(times[i] >= said * 1000 - 50, `said at ${said} s, heard after ${times[i]} ms`);
  });
});

test('the result stream, with keywords', async () => {
  const { data, errors } = await session('recognizeFile', 'pauses', {
    extractResults: true,
    format: false,
    keywords: ['Monday', 'zebra'],
    keywordsThreshold: 0.3,
  });
  assert.deepEqual(errors, []);
  const done = data.filter((result) => result.final);
  assert.deepEqual(done.map((result) => result.index), [0, 1]);
  assert.deepEqual(Object.keys(done[0].keywords_result), ['Monday']);
  assert.equal(done[0].keywords_result.Monday[0].normalized_text, 'monday');
  assert.ok(data.filter((result) => !result.final).every((result) => !result.keywords_result), 'WS-R6');
});

test('the element stream writes into the page', async () => {
  const { errors } = await session('recognizeFile', 'pauses', { outputElement: '#output' });
  assert.deepEqual(errors, []);
  assert.equal(await page.textContent('#output'), SENTENCES.join(''));
});

test('the microphone', async () => {
  // The recording takes eight seconds; the page stops some time after that.
  const { data, times, events, errors } = await session('recognizeMicrophone', null, { objectMode: true }, 10_500);
  assert.deepEqual(errors, []);
  assert.deepEqual([events[0], events[1], events.at(-1)], ['open', 'listening', 'end']);
  const heard = transcripts(finals(data)).join('').toLowerCase();
  const said = MATERIAL.said.split(' ');
  const known = said.filter((word) => heard.includes(word)).length;
  assert.ok(known >= said.length / 2, `of "${MATERIAL.said}" it heard "${heard}"`);
  const interim = data.findIndex((message) => !message.results[0].final);
  const final = data.findIndex((message) => message.results[0].final);
  assert.ok(interim === 0 && final > 0, 'interim results first');
  assert.ok(times[final] < 10_500, 'the end of the sentence is told while the microphone is still open');
});

test('a wrong token', async () => {
  // A key is no token (AUTH-10).
  for (const wrong of [{ accessToken: 'a.b.c' }, { accessToken: KEY }, { accessToken: undefined, token: 'wrong' }]) {
    const { data, errors } = await session('recognizeFile', 'wav', wrong);
    assert.deepEqual([data, errors], [[], ['WebSocket connection error']]);
  }
});

test('a parameter that is wrong', async () => {
  const { errors, data, code } = await session('recognizeFile', 'wav', { keywords: ['monday'], keywordsThreshold: 1.1 });
  assert.equal(errors[0], 'keywords_threshold value must be between zero and one (inclusive)');
  assert.deepEqual([data, code], [[], 1011]);
});
