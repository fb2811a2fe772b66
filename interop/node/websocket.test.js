'use strict';

// ibm-watson over a WebSocket, every format in object mode and in text mode.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const auth = require('ibm-watson/auth');
const { MATERIAL, URL, KEY, RECORDINGS, client, transcripts } = require('./material.js');

// Sends a file through recognizeUsingWebSocket, and resolves at its end with everything that happened.
function session(name, options, service = client()) {
  return new Promise((resolve) => {
    const stream = service.recognizeUsingWebSocket({ ...options });
    const happened = { stream, events: [], data: [], errors: [] };
    const record = (event) => happened.events.at(-1) === event || happened.events.push(event);
    if (!options.objectMode) {
      stream.setEncoding('utf8');
    }
    let ended = false;
    let closed = false;
    const finish = () => ended && closed && resolve(happened);
    stream.on('open', () => record('open'));
    stream.on('listening', () => record('listening'));
    stream.on('data', (data) => record('data') && happened.data.push(data));
    stream.on('error', (error) => {
      record('error');
      happened.errors.push(error);
      // Node ends a stream that has failed without saying so; the socket still has to be closed.
      ended = true;
    });
    stream.on('end', () => {
      record('end');
      ended = true;
      finish();
    });
    stream.on('close', (code, reason) => {
      // Node's streams emit a "close" of their own, without a code.
      if (code !== undefined) {
        happened.code = code;
        closed = true;
        finish();
      }
    });
    fs.createReadStream(RECORDINGS[name].path).pipe(stream);
  });
}

for (const name of ['wav', 'flac', 'ogg', 'mp3', 'webm', 'pauses', 'silence']) {
  const missing = { skip: !RECORDINGS[name] && 'nothing here to make it with' };

  // The SDK finds out the content type by itself but for these (SDK-14).
  const contentType = { mp3: 'audio/mp3', webm: 'audio/webm' }[name];
  const type = contentType ? { contentType } : {};

  test(`objects: ${name}`, missing, async () => {
    const { data, events, errors, code } = await session(name, { objectMode: true, ...type });
    assert.deepEqual(errors, []);
    assert.deepEqual(events, ['open', 'listening', 'data', 'end']);
    assert.equal(code, 1000);
    assert.equal(data.length, 1, 'WS-R1: one results message');
    assert.equal(data[0].result_index, 0);
    assert.ok(data[0].results.every((result) => result.final));
    assert.deepEqual(transcripts(data[0]), RECORDINGS[name].transcripts);
  });

  test(`text: ${name}`, missing, async () => {
    const { data, events, errors } = await session(name, type);
    assert.deepEqual(errors, []);
    assert.deepEqual(events.filter((event) => event !== 'data'), ['open', 'listening', 'end']);
    assert.equal(data.join(''), RECORDINGS[name].transcripts.join(''));
  });
}

test('interim results', async () => {
  const { data, errors } = await session('pauses', { objectMode: true, interimResults: true });
  assert.deepEqual(errors, []);
  assert.ok(data.every((message) => message.results.length === 1), 'WS-R5');
  const finals = data.filter((message) => message.results[0].final);
  assert.deepEqual(finals.flatMap(transcripts), RECORDINGS.pauses.transcripts);
  assert.deepEqual(finals.map((message) => message.result_index), [0, 1]);
  for (const index of [0, 1]) {
    const own = data.filter((message) => message.result_index === index);
    assert.ok(own.length > 1, 'WS-R9: an interim result before the final one');
    assert.deepEqual(own.map((message) => message.results[0].final), own.map((_, i) => i === own.length - 1));
  }
});

test('interim results in text mode are left out', async () => {
  const { data } = await session('pauses', { interimResults: true });
  assert.equal(data.join(''), RECORDINGS.pauses.transcripts.join(''));
});

test('keywords and words', async () => {
  const { data } = await session('wav', {
    objectMode: true,
    model: 'en-US_BroadbandModel',
    contentType: 'audio/wav',
    keywords: ['Monday', 'zebra'],
    keywordsThreshold: 0.3,
    timestamps: true,
    wordConfidence: true,
    maxAlternatives: 2,
    audioMetrics: true,
    inactivityTimeout: -1,
    xWatsonLearningOptOut: true,
    xWatsonMetadata: 'customer_id=someone',
  });
  const [result] = data[0].results;
  assert.deepEqual(Object.keys(result.keywords_result), ['Monday']);
  const words = result.alternatives[0].transcript.trim().split(' ');
  assert.deepEqual(result.alternatives[0].timestamps.map(([word]) => word), words);
  assert.deepEqual(result.alternatives[0].word_confidence.map(([word]) => word), words);
  assert.equal(data[0].audio_metrics.accumulated.final, true);
});

test('the transaction id of the handshake', async () => {
  const { stream } = await session('wav', { objectMode: true });
  assert.ok(await stream.getTransactionId());
});

test('authenticators', async (t) => {
  const cases = {
    iam: new auth.IamAuthenticator({ apikey: KEY, url: URL }),
    'cloud pak': new auth.CloudPakForDataAuthenticator({ username: 'somebody', apikey: KEY, url: URL }),
    bearer: new auth.BearerTokenAuthenticator({ bearerToken: KEY }),
  };
  for (const [name, authenticator] of Object.entries(cases)) {
    await t.test(name, async () => {
      const { data } = await session('wav', {}, client({ authenticator }));
      assert.equal(data.join(''), RECORDINGS.wav.transcripts.join(''));
    });
  }
  await t.test('none', async () => {
    const authenticator = new auth.NoAuthAuthenticator();
    const service = client({ authenticator, serviceUrl: MATERIAL.open_url, disableSslVerification: true });
    assert.match(MATERIAL.open_url, /^https:/, 'here over TLS');
    const { data } = await session('wav', {}, service);
    assert.equal(data.join(''), RECORDINGS.wav.transcripts.join(''));
  });
  await t.test('wrong ones', async () => {
    for (const authenticator of [
      new auth.NoAuthAuthenticator(),
      new auth.BasicAuthenticator({ username: 'apikey', password: MATERIAL.revoked_key }),
    ]) {
      const { errors, data } = await session('wav', {}, client({ authenticator }));
      assert.equal(errors[0].message, 'WebSocket connection error');
      assert.deepEqual(data, []);
    }
  });
});

test('a parameter that is wrong', async () => {
  // WS-E1: the reason, then the end of the connection, which the client does not bring about.
  const { errors, data, code } = await session('wav', { objectMode: true, keywords: ['monday'], keywordsThreshold: 1.1 });
  assert.equal(errors[0].message, 'keywords_threshold value must be between zero and one (inclusive)');
  assert.deepEqual(data, []);
  assert.equal(code, 1011);
});

test('a model that is not there', async () => {
  const { errors } = await session('wav', { model: 'xx-XX' });
  assert.equal(errors[0].message, 'WebSocket connection error');
});

test('nobody speaks', async () => {
  const { errors, code } = await session('silence', { inactivityTimeout: 2 });
  assert.match(errors[0].message, /^No speech detected for 2s/);
  assert.equal(code, 1011);
});
