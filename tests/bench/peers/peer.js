// node's own HTTP server doing the same work: node peer.js PORT hello|json|echo|wait
const http = require('http');
const [port, work] = process.argv.slice(2);

function answer(response, type, body) {
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
    response.end(body);
}

function whole(request, then) {
    const parts = [];
    request.on('data', part => parts.push(part));
    request.on('end', () => then(Buffer.concat(parts)));
}

const handlers = {
    hello: (request, response) => answer(response, 'text/plain', 'Hello, World!'),
    wait: (request, response) => setTimeout(answer, 100, response, 'text/plain', 'Hello, World!'),
    json: (request, response) => whole(request, body =>
        answer(response, 'application/json', JSON.stringify(JSON.parse(body)))),
    echo: (request, response) => whole(request, body => answer(response, 'application/octet-stream', body)),
};
http.createServer({ keepAliveTimeout: 600000 },
    (request, response) => request.method === 'GET' && work !== 'wait' ? handlers.hello(request, response)
                                                                       : handlers[work](request, response))
    .listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
