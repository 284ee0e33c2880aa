import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LiveStream } from './stream';

let answers: (path: string, init: RequestInit) => Promise<Response>;
let asked: { path: string; lastId: string | null }[];
const page = new EventTarget();

beforeEach(() => {
  asked = [];
  vi.stubGlobal('window', page);
  vi.stubGlobal('document', Object.assign(new EventTarget(), { visibilityState: 'visible' }));
  vi.stubGlobal('fetch', (path: string, init: RequestInit) => {
    asked.push({ path, lastId: new Headers(init.headers).get('Last-Event-ID') });
    return answers(path, init);
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A stream that says `text` and then nothing. */
function standing(text = '') {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(text)),
  });
  return Promise.resolve(new Response(body));
}

test('without a network the server is asked at once, and its silence is told', async () => {
  answers = (path) => (path.endsWith('/stream') ? standing() : Promise.reject(new TypeError('no network')));
  const stream = new LiveStream();
  stream.start();
  await vi.waitFor(() => expect(stream.get().kind).toBe('live'));
  page.dispatchEvent(new Event('offline'));
  await vi.waitFor(() => expect(stream.get().kind).toBe('lost'));
  page.dispatchEvent(new Event('online'));
  await vi.waitFor(() => expect(stream.get().kind).toBe('live'));
  stream.stop();
});

test('a server that answers without a network, as on loopback, is not lost', async () => {
  answers = (path) => (path.endsWith('/stream') ? standing() : Promise.resolve(new Response('{}')));
  const stream = new LiveStream();
  stream.start();
  await vi.waitFor(() => expect(stream.get().kind).toBe('live'));
  page.dispatchEvent(new Event('offline'));
  await vi.waitFor(() => expect(asked.length).toBe(2));
  await new Promise((done) => setTimeout(done, 20));
  expect(stream.get().kind).toBe('live');
  stream.stop();
});

test('after a reset the former place is not asked for again', async () => {
  const said = ['id: 70\nevent: incident\ndata: {}\n\n', 'event: reset\ndata: {}\n\n', ''];
  answers = (path) =>
    path.endsWith('/stream') ? standing(said.shift()) : Promise.reject(new TypeError('no network'));
  const stream = new LiveStream();
  const heard: string[] = [];
  stream.onEvent(({ event }) => heard.push(event));
  const again = async () => {
    page.dispatchEvent(new Event('offline'));
    await vi.waitFor(() => expect(stream.get().kind).toBe('lost'));
    page.dispatchEvent(new Event('online'));
    await vi.waitFor(() => expect(stream.get().kind).toBe('live'));
  };
  stream.start();
  await vi.waitFor(() => expect(heard).toEqual(['incident']));
  await again();
  await vi.waitFor(() => expect(heard).toEqual(['incident', 'reset']));
  await again();
  const places = asked.filter(({ path }) => path.endsWith('/stream')).map(({ lastId }) => lastId);
  expect(places).toEqual([null, '70', null]);
  stream.stop();
});
