// SPDX-License-Identifier: MIT
//
// Node.js: fork() of child_process and its channel, objects sent as JSON, which is what it does by
// default. The client forks the server; see tools/nipc/subject-peer.h for what is said and asked.
'use strict';

const STEP_BITS = 5;

function serve()
{
        process.on('message', (message) => process.send({value: message.value + 1}));
        process.on('disconnect', () => process.exit(0));
}

const now = () => {
        const [s, ns] = process.hrtime();
        return s * 1e9 + ns;
};

// Buckets of 32 steps for a power of two, as in tools/nipc/histogram.h, by their middle.
function middle(ns)
{
        if (ns < 2 ** STEP_BITS)
                return Math.floor(ns);
        const shift = Math.floor(Math.log2(ns)) - STEP_BITS;
        return (Math.floor(ns / 2 ** shift) + 0.5) * 2 ** shift;
}

function fail(reason)
{
        process.stdout.write(`error ${reason}\n`, () => process.exit(1));
}

class Client {
        constructor(child)
        {
                this.child = child;
                child.on('message', (message) => this.onAnswer(message.value));
                child.on('exit', () => fail('the server is gone'));
        }

        run(depth, rate, length, value)
        {
                this.histogram = new Map();
                this.sentAt = new Map();
                this.depth = depth;
                this.interval = rate ? 1e9 / rate : 0;
                this.first = this.oldest = this.next = value;
                this.start = this.due = now();
                this.end = this.start + length;
                this.ask(this.start);
        }

        send(time)
        {
                this.sentAt.set(this.next, time);
                this.child.send({value: this.next++});
        }

        ask(time)
        {
                if (this.interval) {
                        while (now() < this.due) // timers of a millisecond are no pace
                                ;
                        this.send(this.due);
                        this.due += this.interval;
                        return;
                }
                while (this.next < this.oldest + this.depth)
                        this.send(time);
        }

        onAnswer(answer)
        {
                const time = now();
                if (answer !== this.oldest + 1)
                        return fail('wrong answer');
                const bucket = middle(time - this.sentAt.get(this.oldest));
                this.sentAt.delete(this.oldest++);
                this.histogram.set(bucket, (this.histogram.get(bucket) || 0) + 1);
                // As the others: when half of those in flight were answered they are sent anew.
                if (time < this.end && this.next - this.oldest <= this.depth / 2)
                        return this.ask(time);
                if (time >= this.end && this.oldest === this.next)
                        this.finish(time);
        }

        finish(time)
        {
                const lines = [`done ${this.next - this.first} ${Math.round(time - this.start)}`];
                for (const [bucket, count] of this.histogram)
                        lines.push(`${Math.round(bucket)} ${count}`);
                process.stdout.write(lines.join('\n') + '\nend\n');
        }
}

function openClient()
{
        const child = require('child_process').fork(__filename, ['child', '-']);
        const client = new Client(child);
        const input = require('readline').createInterface({input: process.stdin});
        input.on('line', (line) => client.run(...line.split(' ').slice(1).map(Number)));
        input.on('close', () => process.exit(0));
        process.stdout.write(`READY ${child.pid}\n`);
}

if (process.argv[2] === 'child')
        serve();
else if (process.argv[2] === 'client')
        openClient();
else
        fail('the client has its own server');
