// The npm packages of this folder, for tests that stand beside it and would not find them by name.

export { default as Bull } from 'bull';
export { default as Redis } from 'ioredis';
export { MongoClient } from 'mongodb';
export { io } from 'socket.io-client';
