'use strict';

// ibm-watson over HTTP: models, recognition, errors, authenticators.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { PassThrough } = require('node:stream');
const auth = require('ibm-watson/auth');
const { MATERIAL, URL, KEY, RECORDINGS, client, transcripts } = require('./material.js');

// The error of a refused call, which has all that the SDK makes of one.
async function refused(status, promise) {
  const error = await promise.then(
    () => assert.fail(`not refused with ${status}`),
    (error) => error,
  );
  assert.equal(error.status, status, error.message);
  assert.equal(error.code, status);
  assert.ok(error.headers.get('x-global-transaction-id'));
  return error;
}

// The same of the speech interface, whose errors name their code and its meaning (errors.md).
async function refusedSpeech(status, promise) {
  const error = await refused(status, promise);
  assert.equal(error.result.code, status);
  assert.ok(error.result.code_description);
  // The SDK has words of its own for refused credentials.
  assert.equal(error.message, status === 401 ? 'Access is denied due to invalid credentials.' : error.result.error);
  return error;
}

test('listModels', async () => {
  const { status, result } = await client().listModels();
  assert.equal(status, 200);
  const names = result.models.map((model) => model.name);
  assert.ok(names.includes('en-US_BroadbandModel') && names.includes('en-US_Telephony'), names.join());
});

test('getModel', async () => {
  const { result } = await client().getModel({ modelId: 'en-US_Telephony' });
  assert.deepEqual([result.name, result.rate, result.url], ['en-US_Telephony', 8000, `${URL}/v1/models/en-US_Telephony`]);
  await refusedSpeech(404, client().getModel({ modelId: 'bogus/../model name' }));
});

test('recognize: a file stream', async () => {
  const audio = fs.createReadStream(RECORDINGS.wav.path);
  const { status, result, headers } = await client().recognize({ audio, contentType: 'audio/wav' });
  assert.equal(status, 200);
  assert.ok(headers.get('x-global-transaction-id'));
  assert.deepEqual(transcripts(result), RECORDINGS.wav.transcripts);
  assert.equal(result.results[0].final, true);
});

test('recognize: a stream of unknown length, slowly', async () => {
  const audio = new PassThrough();
  const bytes = fs.readFileSync(RECORDINGS.wav.path);
  let at = 0;
  const timer = setInterval(() => {
    audio.write(bytes.subarray(at, (at += 12_345)));
    if (at >= bytes.length) {
      clearInterval(timer);
      audio.end();
    }
  }, 50);
  const { result } = await client().recognize({ audio, contentType: 'audio/wav' });
  assert.deepEqual(transcripts(result), RECORDINGS.wav.transcripts);
});

test('recognize: a buffer of some kind', async () => {
  const audio = fs.readFileSync(RECORDINGS.wav.path);
  const { result } = await client().recognize({ audio, contentType: 'application/octet-stream' });
  assert.deepEqual(transcripts(result), RECORDINGS.wav.transcripts);
});

for (const [name, contentType] of [['flac', 'audio/flac'], ['ogg', 'audio/ogg; codecs=opus'], ['mp3', 'audio/mp3'], ['webm', 'audio/webm']]) {
  test(`recognize: ${name}`, { skip: !RECORDINGS[name] && 'nothing here to make it with' }, async () => {
    const audio = fs.createReadStream(RECORDINGS[name].path);
    const { result } = await client().recognize({ audio, contentType });
    assert.deepEqual(transcripts(result), RECORDINGS[name].transcripts);
  });
}

test('recognize: keywords and words', async () => {
  const { result } = await client().recognize({
    audio: fs.createReadStream(RECORDINGS.wav.path),
    contentType: 'audio/wav',
    model: 'en-US_BroadbandModel',
    keywords: ['Monday', 'come back', 'zebra'],
    keywordsThreshold: 0.3,
    timestamps: true,
    wordConfidence: true,
    maxAlternatives: 3,
    wordAlternativesThreshold: 0.01,
    audioMetrics: true,
    inactivityTimeout: -1,
    headers: { 'X-Watson-Learning-Opt-Out': 'true', 'X-Watson-Metadata': 'customer_id=someone' },
  });
  assert.deepEqual(transcripts(result), RECORDINGS.wav.transcripts);
  const [heard] = result.results;
  assert.deepEqual(Object.keys(heard.keywords_result).sort(), ['Monday', 'come back']);
  const words = heard.alternatives[0].transcript.trim().split(' ');
  assert.deepEqual(heard.alternatives[0].timestamps.map(([word]) => word), words);
  assert.deepEqual(heard.alternatives[0].word_confidence.map(([word]) => word), words);
  assert.ok(heard.alternatives.length > 1 && heard.alternatives.length <= 3);
  assert.ok(heard.word_alternatives.length > 0);
  assert.equal(result.audio_metrics.accumulated.final, true);
});

test('recognize: refusals', async () => {
  const recognize = (options) =>
    client().recognize({ audio: fs.createReadStream(RECORDINGS.wav.path), contentType: 'audio/wav', ...options });
  await refusedSpeech(404, recognize({ model: 'xx-XX' }));
  const threshold = await refusedSpeech(400, recognize({ keywords: ['monday'], keywordsThreshold: 1.1 }));
  assert.equal(threshold.message, 'keywords_threshold value must be between zero and one (inclusive)');
  await refusedSpeech(415, recognize({ contentType: 'text/plain' }));
  // A buffer of which nothing is said goes out from this SDK as application/json.
  const unnamed = client().recognize({ audio: fs.readFileSync(RECORDINGS.wav.path) });
  assert.match((await refusedSpeech(415, unnamed)).message, /application\/json/);
  const short = await refusedSpeech(400, recognize({ audio: Buffer.alloc(66, 'x') }));
  assert.match(short.message, /66 bytes/);
});

test('authenticators', async (t) => {
  const iam = new auth.IamAuthenticator({ apikey: KEY, url: URL });
  const carrier = { headers: {} };
  await iam.authenticate(carrier);
  const token = carrier.headers.Authorization.replace('Bearer ', '');
  const cases = {
    basic: new auth.BasicAuthenticator({ username: 'apikey', password: KEY }),
    iam,
    bearer: new auth.BearerTokenAuthenticator({ bearerToken: token }),
    'bearer with the key itself': new auth.BearerTokenAuthenticator({ bearerToken: KEY }),
    'cloud pak, key': new auth.CloudPakForDataAuthenticator({ username: 'somebody', apikey: KEY, url: URL }),
    'cloud pak, password': new auth.CloudPakForDataAuthenticator({ username: 'somebody', password: KEY, url: `${URL}/icp4d-api` }),
  };
  for (const [name, authenticator] of Object.entries(cases)) {
    await t.test(name, async () => {
      const audio = fs.createReadStream(RECORDINGS.wav.path);
      const { result } = await client({ authenticator }).recognize({ audio, contentType: 'audio/wav' });
      assert.deepEqual(transcripts(result), RECORDINGS.wav.transcripts);
    });
  }
  await t.test('none', async () => {
    const authenticator = new auth.NoAuthAuthenticator();
    // This server has a certificate of its own making, which the SDK has to be told to accept.
    const options = { authenticator, serviceUrl: MATERIAL.open_url };
    const { result } = await client({ ...options, disableSslVerification: true }).listModels();
    assert.ok(result.models.length > 0);
    await assert.rejects(client(options).listModels(), /SSL certificate is not valid/);
    await refusedSpeech(401, client({ authenticator }).listModels());
  });
  await t.test('wrong ones', async () => {
    const list = (authenticator) => client({ authenticator }).listModels();
    await refusedSpeech(401, list(new auth.BasicAuthenticator({ username: 'apikey', password: MATERIAL.revoked_key })));
    await refusedSpeech(401, list(new auth.BearerTokenAuthenticator({ bearerToken: 'a.b.c' })));
    const error = await refused(400, list(new auth.IamAuthenticator({ apikey: 'wrong', url: URL })));
    assert.equal(error.message, 'Provided API key could not be found.');
    await refused(401, list(new auth.CloudPakForDataAuthenticator({ username: 'me', password: 'wrong', url: URL })));
  });
});
