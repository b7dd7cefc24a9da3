// The Node.js client: client.js NAMESRV TOPIC. The topic must exist.
'use strict';
const { Producer, Consumer, Message } = require('ali-ons');

const [, , nameSrv, topic] = process.argv;
const quiet = () => {};
const options = {
  httpclient: require('urllib'), nameSrv, accessKeyId: 'none', accessKeySecret: 'none',
  logger: { info: quiet, warn: quiet, error: quiet, debug: quiet },
};
let passed = 0;
let failed = 0;

function check(name, good, details = '') {
  if (good) passed++; else failed++;
  console.log(`  ${good ? 'pass' : 'fail'} ${name} ${details}`);
}

async function until(holds, seconds) {
  for (let i = 0; i < seconds * 10 && !holds(); i++) await new Promise(done => setTimeout(done, 100));
  await new Promise(done => setTimeout(done, 500)); // one too many would come now
  return holds();
}

function message(body, tag, key, properties = {}) {
  const one = new Message(topic, tag, body);
  if (key) one.keys = [ key ];
  Object.assign(one.properties, properties);
  return one;
}

async function main() {
  const producer = new Producer({ ...options, producerGroup: 'node-producer' });
  await producer.ready();
  const results = [];
  for (let i = 0; i < 20; i++) results.push(await producer.send(message(`m${i}`, 'AB'[i % 2], `k${i}`, { own: 'kept' })));
  check('sync', results.every(one => one.sendStatus === 'SEND_OK' && one.msgId));

  const seen = [];
  let refused = 0;
  const consumer = new Consumer({ ...options, consumerGroup: 'node-consumer', consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET' });
  consumer.subscribe(topic, 'A || C', async one => {
    const body = one.body.toString();
    if (body === 'm4' && refused++ === 0) throw new Error('not now');
    seen.push({ body, tags: one.tags, keys: one.keys, own: one.properties.own, times: one.reconsumeTimes, at: Date.now() });
  });
  await consumer.ready();
  check('push by tags', await until(() => seen.filter(one => one.times === 0).length === 9, 40) && seen.every(one => one.tags === 'A'), seen.length);
  check('keys and properties', seen.every(one => String(one.keys) === one.body.replace('m', 'k') && one.own === 'kept'), JSON.stringify(seen[0]));

  const begin = Date.now();
  await producer.send(message('late', 'C', 'k', { DELAY: '2' }));
  check('delay', await until(() => seen.some(one => one.body === 'late'), 20) && seen.find(one => one.body === 'late').at - begin >= 5000);
  check('retry', await until(() => seen.some(one => one.body === 'm4' && one.times === 1), 60), refused);
  console.log(`${passed} passed, ${failed} failed, 0 skipped`);
  process.exit(failed === 0 ? 0 : 1);
}

main().catch(error => {
  console.log(error);
  console.log(`${passed} passed, ${failed + 1} failed, 0 skipped`);
  process.exit(1);
});
