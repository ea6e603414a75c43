// The npm packages of this folder, for tests in other folders that cannot resolve them by name.

export { default as Bull } from 'bull';
export { default as Redis } from 'ioredis';
export { MongoClient, ObjectId } from 'mongodb';
export { io } from 'socket.io-client';
