// What the contract says of each operation, asked for as the platform's producers do.

import { CREATED, DELETED, EXPIRED, FAILED, UPDATED, character, expiredToken, someone } from '../data.mjs';
import { nextMillisecond } from '../wait.mjs';
import { PLATFORM, bad, create, endings } from './jobs.mjs';

const FIELDS = ['Description', 'Image', 'Image_Real', 'Name', 'User_Id', '_id', 'createdAt', 'updatedAt'];
/** A job that is done, and one that is not. */
const ENDINGS = [{ resolved: CREATED }, { rejected: 'Name is missing' }];

/** Adds a job, and returns what its user hears and what its producer does. */
async function perform({ producers }, browser, queue, data) {
    const job = await producers[queue].add(data, PLATFORM);
    const finished = await producers[queue].completed(job);
    return { heard: await browser.next(), finished };
}

async function read(side, browser, { id, token }) {
    const data = { Id: id, Token: token, Filter: { User_Id: id } };
    return perform(side, browser, 'Read_Character', data);
}

/** A user with some characters, and the user's browser. */
async function withCharacters(side, names) {
    const ada = someone();
    const browser = await side.browser(ada);
    for (const name of names) {
        await perform(side, browser, 'Create_Character', create(ada, name));
        await nextMillisecond();
    }
    return { ada, browser };
}

export const CONTRACT = [
    {
        option: 'create',
        expected: { heard: CREATED, finished: CREATED },
        async run(side) {
            const ada = someone();
            return perform(side, await side.browser(ada), 'Create_Character', create(ada));
        },
    },
    {
        option: 'read: the three newest',
        expected: { names: ['Four', 'Three', 'Two'], as: character('Four'), fields: FIELDS, same: true },
        async run(side) {
            const { ada, browser } = await withCharacters(side, ['One', 'Two', 'Three', 'Four']);
            const { heard, finished } = await read(side, browser, ada);
            const [{ Name, Description, Image, Image_Real, ...rest }] = heard.Message;
            return {
                names: heard.Message.map((found) => found.Name),
                as: { Name, Description, Image, Image_Real },
                fields: Object.keys({ Name, Description, Image, Image_Real, ...rest }).sort(),
                same: JSON.stringify(finished) === JSON.stringify(heard),
            };
        },
    },
    {
        option: 'update',
        expected: { heard: UPDATED, finished: UPDATED, now: 'Changed' },
        async run(side) {
            const { ada, browser } = await withCharacters(side, ['One']);
            const [{ _id }] = (await read(side, browser, ada)).heard.Message;
            const data = { Id: ada.id, Token: ada.token, Id_Character: _id, Description: 'Changed' };
            const updated = await perform(side, browser, 'Update_Character', data);
            const [{ Description }] = (await read(side, browser, ada)).heard.Message;
            return { ...updated, now: Description };
        },
    },
    {
        option: 'delete, and once more',
        expected: { heard: DELETED, finished: DELETED, left: [], again: { heard: FAILED, finished: FAILED } },
        async run(side) {
            const { ada, browser } = await withCharacters(side, ['One']);
            const [{ _id }] = (await read(side, browser, ada)).heard.Message;
            const data = { Id: ada.id, Token: ada.token, Id_Character: _id };
            const deleted = await perform(side, browser, 'Delete_Character', data);
            const left = (await read(side, browser, ada)).heard.Message;
            return { ...deleted, left, again: await perform(side, browser, 'Delete_Character', data) };
        },
    },
    {
        option: 'expired token',
        expected: { heard: EXPIRED, finished: EXPIRED },
        async run(side) {
            const ada = someone();
            const data = { ...create(ada), Token: expiredToken(ada) };
            return perform(side, await side.browser(ada), 'Create_Character', data);
        },
    },
    {
        option: 'expired token, and data that are wrong',
        expected: { heard: EXPIRED, finished: EXPIRED },
        async run(side) {
            const ada = someone();
            const data = { ...bad(ada), Token: expiredToken(ada) };
            return perform(side, await side.browser(ada), 'Create_Character', data);
        },
    },
    {
        option: 'a job that can never be done',
        expected: { heard: FAILED, reason: 'Name is missing' },
        async run(side) {
            const ada = someone();
            const browser = await side.browser(ada);
            const producer = side.producers.Create_Character;
            const reason = await producer.failed(await producer.add(bad(ada), PLATFORM));
            return { heard: await browser.next(), reason };
        },
    },
    {
        option: 'job.finished()',
        expected: ENDINGS,
        run: ({ producers }) => endings(producers.Create_Character, [create(someone()), bad(someone())]),
    },
    {
        option: 'job.finished(), nothing kept',
        expected: ENDINGS,
        run: ({ producers }) => endings(producers.Create_Character, [create(someone()), bad(someone())], PLATFORM),
    },
    {
        option: 'job.finished(), after the end',
        expected: ENDINGS,
        async run({ producers: { Create_Character } }) {
            const jobs = [await Create_Character.add(create(someone())), await Create_Character.add(bad(someone()))];
            await Create_Character.completed(jobs[0]);
            await Create_Character.failed(jobs[1]);
            return [{ resolved: await jobs[0].finished() }, { rejected: await jobs[1].finished().catch(({ message }) => message) }];
        },
    },
];
