// The same as the server over the same tables in the usual way, as a user of Node.js would write it: Fastify, mysql2 with
// its pool, a worker for each processor. No cache, no session, no log, no limit.
//
//   node server.mjs mysql://user:password@host:port/database --pool 10

import cluster from 'node:cluster';
import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import jwt from '@fastify/jwt';
import Fastify from 'fastify';
import mysql from 'mysql2/promise';

const [uri, , pool] = process.argv.slice(2);
const workers = availableParallelism();

if (cluster.isPrimary) {
  let told = false;
  cluster.on('listening', (_, { port }) => {
    if (told) return;
    told = true;
    process.stdout.write(`listening on http://127.0.0.1:${port}\n`);
  });
  // A worker that dies ends the measurement.
  cluster.on('exit', () => process.exit(1));
  for (let n = 0; n < workers; n++) cluster.fork({ USUAL_WORKER: n });
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGKILL');
    process.exit(0);
  });
} else {
  await serve();
}

async function serve() {
  const db = mysql.createPool({
    uri,
    connectionLimit: Math.max(1, Math.floor(Number(pool) / workers)),
    timezone: 'Z',
    supportBigNumbers: true,
  });
  const app = Fastify({ bodyLimit: 1 << 20, routerOptions: { ignoreTrailingSlash: true } });
  app.register(jwt, { secret: 'a secret of the usual server' });

  const columns = 'p.post_id, p.title, u.name, p.author_id, p.date, p.updated, p.tags';
  // A derived table: as IN (… UNION …) MariaDB would ask for each post anew.
  const found = `JOIN (
    SELECT post_id FROM post WHERE MATCH (title) AGAINST (? IN BOOLEAN MODE) UNION
    SELECT post_id FROM content WHERE MATCH (body) AGAINST (? IN BOOLEAN MODE)
    ) f ON f.post_id = p.post_id`;
  const item = (row) => ({
    post_id: row.post_id,
    post_title: row.title,
    ...(row.body === undefined ? {} : { post_content: row.body }),
    author: row.name,
    author_id: row.author_id,
    date: row.date,
    updated: row.updated,
    status: 'published',
    tags: row.tags.split('\n').filter(Boolean),
  });

  app.get('/post/:id', async (request, reply) => {
    const [rows] = await db.execute(
      `SELECT ${columns}, c.body FROM post p JOIN user u ON u.user_id = p.author_id
       JOIN content c ON c.post_id = p.post_id WHERE p.post_id = ? AND p.published = 1`,
      [request.params.id],
    );
    if (!rows.length) return reply.code(404).send({ error: 'no such post' });
    return { post: item(rows[0]) };
  });

  app.get('/post', async (request) => {
    const page = Number(request.query.page ?? 1);
    const size = Number(request.query.size ?? 20);
    const { author, tag, q } = request.query;
    let from = 'post p';
    let filter = 'p.published = 1';
    const values = [];
    if (q !== undefined) {
      from += ` ${found}`;
      const words = q.split(/\s+/).map((word) => `+${word}`).join(' ');
      values.push(words, words);
    }
    let place = 'p.place';
    if (tag !== undefined) {
      place = 't.place';
      from += ' JOIN post_tag t ON t.post_id = p.post_id';
      filter += ' AND t.tag = ? AND t.published = 1';
      values.push(tag);
    }
    if (author !== undefined) {
      filter += ' AND p.author_id = ?';
      values.push(author);
    }
    const [[{ count }]] = await db.execute(`SELECT COUNT(*) AS count FROM ${from} WHERE ${filter}`, values);
    const [rows] = await db.execute(
      // A left join: MariaDB would begin with the users otherwise, and sort all posts.
      `SELECT ${columns} FROM ${from} LEFT JOIN user u ON u.user_id = p.author_id
       WHERE ${filter} ORDER BY ${place} DESC LIMIT ? OFFSET ?`,
      [...values, String(size), String((page - 1) * size)],
    );
    return { posts: rows.map(item), pagination: { count, pages: Math.ceil(count / size), page, size } };
  });

  // In microseconds, each at a place of its own.
  let last = 0;
  const nextPlace = () => {
    last = Math.max(Date.now() * 1000, last + workers);
    return last - (last % workers) + Number(process.env.USUAL_WORKER);
  };
  const newPost = {
    type: 'object',
    required: ['title', 'content'],
    additionalProperties: false,
    properties: {
      title: { type: 'string' },
      content: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
    },
  };
  app.post(
    '/post',
    { schema: { body: newPost }, onRequest: (request) => request.jwtVerify() },
    async (request, reply) => {
      const { title, content, tags = [] } = request.body;
      const author = request.user.sub;
      const connection = await db.getConnection();
      try {
        await connection.beginTransaction();
        const [[user]] = await connection.execute('SELECT name FROM user WHERE user_id = ? AND is_active = 1', [author]);
        const date = new Date();
        const place = nextPlace();
        const [{ insertId: id }] = await connection.execute(
          'INSERT INTO post (author_id, title, date, updated, published, place, tags) VALUES (?, ?, ?, ?, 1, ?, ?)',
          [author, title, date, date, place, tags.join('\n')],
        );
        await connection.execute('INSERT INTO content (post_id, body) VALUES (?, ?)', [id, content]);
        if (tags.length) {
          await connection.execute(
            `INSERT INTO post_tag (tag, published, place, post_id, author_id) VALUES ${tags.map(() => '(?, 1, ?, ?, ?)').join(', ')}`,
            tags.flatMap((tag) => [tag, place, id, author]),
          );
        }
        await connection.commit();
        const row = { post_id: id, title, body: content, name: user.name, author_id: author, date, updated: date, tags: tags.join('\n') };
        return reply.code(201).send({ post_id: id, user_id: author, post: item(row) });
      } catch (error) {
        await connection.rollback();
        throw error;
      } finally {
        connection.release();
      }
    },
  );

  app.post('/user/login', async (request, reply) => {
    const { account, password } = request.body;
    const [rows] = await db.execute(
      'SELECT user_id, name, password FROM user WHERE email_key = ? AND is_active = 1',
      [account],
    );
    if (!rows.length || !(await bcrypt.compare(password, rows[0].password))) {
      return reply.code(401).send({ error: 'wrong' });
    }
    const { user_id, name } = rows[0];
    return { userinfo: { user_id, name }, token: app.jwt.sign({ sub: user_id }, { expiresIn: '1d' }) };
  });

  // In a cluster, 0 is the same port for all workers.
  await app.listen({ host: '127.0.0.1', port: 0 });
}
