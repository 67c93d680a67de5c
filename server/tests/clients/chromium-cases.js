// A browser on the web pages: what a visitor does, with and without JavaScript, and what hostile mail can't do.
'use strict';
const assert = require('node:assert/strict');
const http = require('node:http');
const { chromium } = require('playwright-core');
const nodemailer = require('nodemailer');
const { account, main, web, within } = require('./support');

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
args.push('--disable-component-update', '--disable-sync');

/** A context in a new browser, with everything that its pages ask for, say and pop up. */
const browser = async (options = {}) => {
    const launched = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
    const context = await launched.newContext({ timezoneId: 'Asia/Tokyo', locale: 'en-GB', acceptDownloads: true, ...options });
    context.setDefaultTimeout(20_000);
    const seen = { requests: [], dialogs: [], console: [] };
    context.on('request', r => seen.requests.push(r.url()));
    // Playwright tells of what the policy blocked as well; that never left the browser.
    context.on('requestfailed', r => {
        if (r.failure()?.errorText === 'csp') seen.requests.splice(seen.requests.indexOf(r.url()), 1);
    });
    context.on('console', m => seen.console.push(m.text()));
    context.on('dialog', d => {
        seen.dialogs.push(d.message());
        d.accept().catch(() => {});
    });
    return { context, seen, page: await context.newPage() };
};

const send = (who, mail) =>
    nodemailer
        .createTransport({ ...who.smtp, auth: { user: who.user, pass: who.pass } })
        .sendMail({ from: 'Ann <ann@example.org>', to: 'bob@example.org', ...mail });

const newsletter = {
    subject: 'Autumn 🍂 news',
    html: '<h1>Rich news</h1><p>for you</p>',
    text: 'Plain news',
    attachments: [{ filename: 'terms.txt', content: 'The terms' }]
};

const row = (page, subject) => page.locator('.row', { hasText: subject });

/** One click on the front page: the credentials, shown once, and the inbox of it. */
const create = async page => {
    await page.goto(`${web}/`);
    assert.equal(await page.locator('.chart .bar').count(), 15, 'days of the chart');
    await page.getByRole('button', { name: 'Create an account' }).click();
    const shown = async key => page.locator(`[data-credential="${key}"]`).innerText();
    const who = { user: await shown('user'), pass: await shown('pass') };
    const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download as CSV' }).click()]);
    const chunks = [];
    for await (const chunk of await csv.createReadStream()) chunks.push(chunk);
    const rows = Buffer.concat(chunks).toString().split('\r\n');
    const smtp = rows.find(r => r.startsWith('"SMTP"')).split(',').map(f => JSON.parse(f));
    assert.deepEqual(smtp.slice(1, 3), [who.user, who.pass]);
    const snippet = page.locator('pre', { hasText: 'createTransport' });
    assert.ok((await snippet.innerText()).includes(who.pass), 'the password is in the snippets');
    who.smtp = { host: smtp[3], port: Number(smtp[4]), secure: false };
    await page.getByRole('link', { name: 'Open the inbox' }).click();
    await page.getByText('Nothing here yet').waitFor();
    assert.ok(!(await page.content()).includes(who.pass), 'the password is shown once');
    return who;
};

/** Everything that an open message shows. */
const tabs = async page => {
    const frame = page.frameLocator('iframe.body');
    await frame.getByRole('heading', { name: 'Rich news' }).waitFor();
    const open = name => page.locator('.tabs').getByRole('link', { name }).click();
    for (const [name, text] of [
        ['Text', 'Plain news'], ['Headers', 'MIME-Version'], ['Source', 'Content-Type: multipart/'],
        ['MIME tree', 'text/html'], ['Envelope', 'bob@example.org'], ['Attachments', 'terms.txt']
    ]) {
        await open(name);
        await page.locator('.view', { hasText: text }).waitFor();
        assert.match(await page.locator('.tabs [aria-current]').innerText(), new RegExp(name));
    }
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'terms.txt' }).click()]);
    assert.equal(file.suggestedFilename(), 'terms.txt');
    const [eml] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()]);
    assert.match(eml.suggestedFilename(), /\.eml$/);
};

const login = async (page, who, pass = who.pass) => {
    await page.goto(`${web}/login`);
    await page.getByLabel('Address').fill(who.user);
    await page.getByLabel('Password').fill(pass);
    await page.locator('main').getByRole('button', { name: 'Log in' }).click();
};

const logout = async page => {
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.waitForURL(`${web}/`);
    await page.goto(`${web}/messages`);
    assert.equal(page.url(), `${web}/login`, 'the inbox needs a login');
};

const search = async (page, query) => {
    await page.getByRole('searchbox').fill(query);
    await page.getByRole('searchbox').press('Enter');
    await page.getByRole('heading', { name: 'Search' }).waitFor();
};

/** Login, search, flags, deletion and paging: what works with and without JavaScript. */
const around = async (page, who) => {
    await logout(page);
    await login(page, who, 'wrong');
    await page.getByRole('alert').getByText('wrong address or password').waitFor();
    await login(page, who);
    await page.waitForURL(`${web}/messages`);
    await send(who, { subject: 'Second', text: 'needle' });
    await search(page, 'subject:second needle');
    await row(page, 'Second').waitFor();
    assert.equal(await page.locator('.row').count(), 1);
    await search(page, 'subject:nothing');
    await page.getByText('Nothing matches').waitFor();
    await page.getByRole('link', { name: 'clear' }).click();
    await row(page, 'Second').getByRole('link').click();
    await page.getByRole('link', { name: 'Older' }).click();
    await page.getByRole('heading', { name: newsletter.subject }).waitFor();
    await page.getByRole('button', { name: 'Flag' }).click();
    await page.getByRole('button', { name: 'Unflag' }).waitFor();
    await page.getByRole('button', { name: 'Mark unread' }).click();
    await page.locator('.row.unread', { hasText: newsletter.subject }).locator('.star').waitFor();
    await row(page, 'Second').getByRole('link').click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.locator('.count', { hasText: '1 message,' }).waitFor();
    assert.equal(await row(page, 'Second').count(), 0);
};

/** The keys of the list and of a message. */
const press = async (page, who) => {
    for (const subject of ['Three', 'Four', 'Five']) await send(who, { subject, text: subject });
    await row(page, 'Five').waitFor();
    const focused = () => page.evaluate(() => document.activeElement.closest('.row')?.innerText ?? '');
    const key = name => page.keyboard.press(name);
    /** The message is there and the script has shown its button, so that it hears keys. */
    const opened = async name => {
        await page.getByRole('heading', { name }).waitFor();
        await page.locator('#keys').waitFor();
    };
    for (const [name, subject] of [['j', 'Five'], ['j', 'Four'], ['j', 'Three'], ['k', 'Four']]) {
        await key(name);
        assert.match(await focused(), new RegExp(subject), `after ${name}`);
    }
    await key('?');
    await page.getByRole('dialog').getByText('next (older)').waitFor();
    await key('j');
    await key('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.match(await focused(), /Four/, 'keys do nothing behind the help');
    await key('/');
    await page.keyboard.type('j?');
    assert.equal(await page.getByRole('searchbox').inputValue(), 'j?', 'letters in the search box are text');
    await key('Escape');
    await key('k');
    assert.match(await focused(), /Autumn/, 'from nowhere, upwards is the last');
    await row(page, 'Four').getByRole('link').focus();
    await key('Enter');
    await opened('Four');
    await key('j');
    await opened('Three');
    await key('k');
    await opened('Four');
    await key('s');
    await page.locator('pre.source').waitFor();
    await opened('Four');
    await key('r');
    await page.locator('.row.unread', { hasText: 'Four' }).waitFor();
    await row(page, 'Four').getByRole('link').click();
    await opened('Four');
    await key('Delete');
    await page.locator('.count', { hasText: '3 messages' }).waitFor();
    await page.locator('#keys').waitFor();
    await row(page, 'Five').getByRole('link').focus();
    await key('Delete');
    await page.locator('.count', { hasText: '2 messages' }).waitFor();
    assert.match(await focused(), /Three/, 'the next one has the focus');
    await key('Enter');
    await opened('Three');
    await key('Escape');
    await row(page, 'Three').waitFor();
};

/** Ways in which HTML runs scripts or fetches things. `ran` is what a script does; TRAP hears of all that is fetched. */
const hostile = (trap, refreshSecs = 0) => {
    const ran = name => `top.postMessage('x','*');window.pwned='${name}';console.log('PWNED ${name}');new Image().src='${trap}/ran/${name}'`;
    const svg = encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg"><script>${ran('svg')}</script></svg>`);
    const attr = text => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
    return `<html><head><base href="${trap}/base/">
<meta http-equiv="refresh" content="${refreshSecs};url=${trap}/refresh"><meta http-equiv="Set-Cookie" content="a=b">
<link rel="stylesheet" href="${trap}/link.css"><link rel="prefetch" href="${trap}/prefetch"><link rel="preload" as="image" href="${trap}/preload">
<link rel="dns-prefetch" href="${trap}"><link rel="preconnect" href="${trap}"><link rel="icon" href="${trap}/icon">
<style>@import url("${trap}/import.css"); @import "${trap}/import2.css";
@font-face{font-family:evil;src:url("${trap}/font.woff2")} body{font-family:evil;background:url("${trap}/background")}
p{background-image:image-set(url("${trap}/image-set") 1x);cursor:url("${trap}/cursor"),auto;list-style:url("${trap}/list")} p::before{content:url("${trap}/content")}</style>
<style></title><script>${ran('style')}</script></style>
<script>${ran('script')}</script><script src="${trap}/script.js"></script></head>
<body onload="${attr(ran('onload'))}" background="${trap}/body">
<h1>Hostile mail</h1><p style="background:url('${trap}/inline')" onclick="${attr(ran('onclick'))}">text</p>
<img src="data:image/png;base64,xx" onerror="${attr(ran('onerror'))}"><img src="${trap}/pixel.png"><img srcset="${trap}/srcset 2x" src="cid:none">
<picture><source srcset="${trap}/picture"><img src="${trap}/picture-img"></picture>
<svg onload="${attr(ran('svgload'))}"><image href="${trap}/svgimage" /><script>${ran('svgscript')}</script><animate onbegin="${attr(ran('begin'))}" attributeName="x" dur="1s"/></svg>
<svg><use href="${trap}/use#x"/><foreignObject><iframe src="javascript:${attr(ran('foreign'))}"></iframe></foreignObject></svg>
<iframe src="${trap}/iframe"></iframe><iframe srcdoc="${attr(`<script>${ran('srcdoc')}</script>`)}"></iframe><iframe src="data:text/html,${attr(encodeURIComponent(`<script>${ran('dataframe')}</script>`))}"></iframe>
<object data="${trap}/object"></object><object data="data:image/svg+xml,${svg}"></object><embed src="${trap}/embed"><applet code="${trap}/applet"></applet>
<video src="${trap}/video" poster="${trap}/poster" autoplay></video><audio src="${trap}/audio" autoplay></audio><track src="${trap}/track">
<form action="${trap}/form" id="f"><input name="q" value="1" autofocus onfocus="${attr(ran('onfocus'))}"><button id="submit">Press me</button></form>
<input type="image" src="${trap}/inputimage"><table background="${trap}/table"><tr><td background="${trap}/td">cell</td></tr></table>
<a id="js" href="javascript:${attr(ran('href'))}">Press this</a> <a id="js2" href=" jav&#x09;ascript:${attr(ran('href2'))}">and this</a> <a id="ping" href="#x" ping="${trap}/ping">and that</a>
<details open ontoggle="${attr(ran('toggle'))}"><summary>x</summary></details><marquee onstart="${attr(ran('marquee'))}">m</marquee>
<math><mtext><table><mglyph><style><img src="data:image/png;base64,xx" onerror="${attr(ran('mathml'))}"></style></mglyph></table></mtext></math>
<noscript><p title="</noscript><img src=x onerror=${attr(ran('noscript').replaceAll(' ', '+'))}>"></noscript>
<template><script>${ran('template')}</script></template><xmp><img src=x></xmp>
<div style="position:fixed;inset:0;background:url(${trap}/overlay)">over</div>
</body></html>`;
};

/** A listener that must, or must not, be asked for something. */
const trap = async () => {
    const asked = [];
    const server = http.createServer((request, response) => {
        asked.push(request.url);
        if (request.url === '/control') {
            response.setHeader('content-type', 'text/html; charset=utf-8');
            return response.end(hostile(`http://127.0.0.1:${server.address().port}`, 1));
        }
        const image = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
        response.setHeader('content-type', 'image/png');
        response.setHeader('access-control-allow-origin', '*');
        response.end(image);
    });
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
    return { asked, url: `http://127.0.0.1:${server.address().port}` };
};

/** Presses what a reader may press in hostile mail, wherever it is still there. */
const provoke = async document => {
    for (const selector of ['p', '#js', '#js2', '#ping', '#submit']) {
        const target = document.locator(selector).first();
        if (await target.count()) await target.click({ force: true, timeout: 2000 }).catch(() => {});
    }
};

/** No script ran in any frame, and the server is all that was asked. */
const assertInert = async (page, seen, heard, allowed = () => false) => {
    assert.deepEqual(seen.dialogs, []);
    assert.deepEqual(seen.console.filter(t => t.includes('PWNED')), []);
    for (const frame of page.frames()) {
        const pwned = await within(5000, 'a look into a frame', frame.evaluate(() => window.pwned ?? null));
        assert.equal(pwned, null, `a script ran in ${frame.url()}`);
    }
    const elsewhere = seen.requests.filter(u => !u.startsWith(`${web}/`) && !u.startsWith('data:') && !u.startsWith('about:') && !allowed(u));
    assert.deepEqual(elsewhere, [], 'requests to others');
    assert.deepEqual(heard.filter(path => !allowed(path)), [], 'what the trap heard');
};

/** Until the page has asked for nothing for half a second. */
const settle = page => page.waitForLoadState('networkidle');

main({
    async walk() {
        const { context, page, seen } = await browser({ permissions: ['clipboard-read', 'clipboard-write'] });
        const who = await create(page);
        await page.locator('.live').waitFor();
        const navigations = [];
        page.on('framenavigated', f => navigations.push(f.url()));
        await page.evaluate(() => (window.here = true));
        await send(who, newsletter);
        await row(page, newsletter.subject).waitFor();
        assert.equal(await page.locator('.rail .badge').first().innerText(), '1');
        assert.match(await page.title(), /^\(1\)/);
        assert.deepEqual(navigations, [], 'without a reload');
        assert.equal(await page.evaluate(() => window.here), true);
        // The browser is in Tokyo, nine hours from the UTC of the page.
        const time = row(page, newsletter.subject).locator('time');
        const expected = new Date(await time.getAttribute('datetime')).toLocaleTimeString('en-GB', { timeZone: 'Asia/Tokyo', hour: '2-digit', minute: '2-digit' });
        assert.equal(await time.innerText(), expected);
        await row(page, newsletter.subject).getByRole('link').click();
        await tabs(page);
        await page.goto(`${web}/messages`);
        await around(page, who);
        await press(page, who);
        await page.goto(`${web}/create`);
        await page.getByRole('button', { name: 'Create an account' }).click();
        const pass = await page.locator('[data-credential="pass"]').innerText();
        await page.locator('dd', { hasText: pass }).getByRole('button', { name: 'Copy' }).click();
        await page.getByRole('button', { name: 'Copied' }).waitFor();
        assert.equal(await page.evaluate(() => navigator.clipboard.readText()), pass);
        assert.deepEqual(seen.requests.filter(u => !u.startsWith(`${web}/`)), [], 'nothing from elsewhere');
        // Of the one wrong password, and of nothing else, the policy least of all.
        assert.deepEqual(seen.console.filter(t => !/status of 401/.test(t)), []);
        await context.browser().close();
    },

    async walk_without_javascript() {
        const { context, page, seen } = await browser({ javaScriptEnabled: false });
        const who = await create(page);
        assert.equal(await page.locator('.live, #keys, .copy').filter({ visible: true }).count(), 0, 'nothing that does nothing');
        await send(who, newsletter);
        await page.reload();
        await row(page, newsletter.subject).getByRole('link').click();
        await tabs(page);
        await page.goto(`${web}/messages`);
        await around(page, who);
        await page.getByRole('button', { name: 'Delete all' }).click();
        await page.getByText('Nothing here yet').waitFor();
        assert.deepEqual(seen.requests.filter(u => !u.startsWith(`${web}/`)), []);
        await context.browser().close();
    },

    async narrow() {
        const who = await account();
        const mails = [
            { subject: 'Averylongwordwithoutbreak'.repeat(12), text: 'x'.repeat(300) },
            { ...newsletter, to: Array.from({ length: 30 }, (_, i) => `recipient${i}@subdomain.example.org`) },
            { subject: '\u202eتحية 🎉', text: 'مرحبا', attachments: [{ filename: `${'a'.repeat(120)}.txt`, content: 'x' }] }
        ];
        for (const mail of mails) await send(who, mail);
        for (const colorScheme of ['light', 'dark']) {
            const { context, page } = await browser({ viewport: { width: 390, height: 844 }, colorScheme });
            const fits = async what => {
                const width = await page.evaluate(() => document.documentElement.scrollWidth);
                assert.ok(width <= 390, `${what} is ${width} wide`);
                const cut = await page.locator('h1, .people dd, .view pre, .files li, .fields td').evaluateAll(all =>
                    all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML.slice(0, 80))
                );
                assert.deepEqual(cut, [], `cut off in ${what}`);
            };
            for (const path of ['/', '/create', '/login', '/nowhere', '/message/none']) {
                await page.goto(web + path);
                await fits(path);
            }
            await login(page, who);
            await page.waitForURL(`${web}/messages`);
            await fits('the inbox');
            const paths = await page.locator('.row a').evaluateAll(all => all.map(a => a.getAttribute('href')));
            assert.equal(paths.length, mails.length);
            for (const path of [...paths, '/messages?q=nothing']) {
                for (const tab of ['html', 'text', 'headers', 'source', 'mime', 'attachments', 'envelope']) {
                    await page.goto(`${web}${path}${path.includes('?') ? '&' : '?'}tab=${tab}`);
                    await fits(`${path} ${tab}`);
                }
            }
            await context.browser().close();
        }
    },

    async hostile_mail() {
        // The control: the same document from the trap itself does all of it, so that silence below means something.
        const control = await trap();
        const open = await browser();
        await open.page.goto(`${control.url}/control`, { waitUntil: 'commit' });
        const wanted = ['/import.css', '/link.css', '/background', '/pixel.png', '/iframe', '/ran/script', '/ran/onerror', '/refresh'];
        const missing = () => wanted.filter(w => !control.asked.includes(w));
        for (const end = Date.now() + 20_000; missing().length && Date.now() < end; ) await open.page.waitForTimeout(50);
        assert.deepEqual(missing(), [], `the control heard only ${control.asked}`);
        assert.ok(open.seen.console.some(t => t.includes('PWNED')), 'the control ran scripts');
        await open.context.browser().close();

        const { asked, url } = await trap();
        const { context, page, seen } = await browser();
        const who = await account();
        const sent = await send(who, { subject: 'Hostile', text: 'x', html: hostile(url) });
        const pub = `${web}/message/${/MSGID=([^\s\]]+)/.exec(sent.response)[1]}`;
        await login(page, who);
        await row(page, 'Hostile').getByRole('link').click();
        const heading = { name: 'Hostile mail' };
        await page.frameLocator('iframe.body').getByRole('heading', heading).waitFor();
        const message = page.url();
        await settle(page);
        await assertInert(page, seen, asked);
        await provoke(page.frameLocator('iframe.body'));
        await settle(page);
        await assertInert(page, seen, asked);
        assert.equal(page.url(), message, 'the page stays');
        const frame = page.frames().find(f => f.url().endsWith('/html'));
        assert.ok(frame, 'and so does the frame');
        assert.equal(await frame.evaluate(() => window.origin), 'null', 'an origin of its own');

        // Opened directly, by the owner and by whoever has the link.
        for (const direct of [`${message}/html`, `${pub}/html`, pub, `${pub}/source`, `${message}?tab=text`, `${message}?tab=source`]) {
            await page.goto(direct);
            await settle(page);
            await provoke(page);
            await assertInert(page, seen, asked);
        }

        // One click allows images from elsewhere. That is all that it allows.
        await page.goto(message);
        await page.getByRole('link', { name: 'Show remote images' }).click();
        await page.frameLocator('iframe.body').getByRole('heading', heading).waitFor();
        await settle(page);
        assert.ok(asked.includes('/pixel.png'), `the image is shown: ${asked}`);
        const images = ['pixel.png', 'picture-img', 'background', 'inline', 'image-set', 'cursor', 'list', 'content', 'table', 'td', 'body', 'overlay'];
        const isImage = address => images.some(i => address === `/${i}` || address === `${url}/${i}`);
        await assertInert(page, seen, asked, isImage);
        await provoke(page.frameLocator('iframe.body'));
        await page.goto(`${message}/html?remote=1`);
        await provoke(page);
        await settle(page);
        await assertInert(page, seen, asked, isImage);
        await context.browser().close();
    },

    /** Attachments are handed out as files, whatever they say they are. */
    async hostile_attachments() {
        const { asked, url } = await trap();
        const { context, page, seen } = await browser();
        const who = await account();
        const script = `<script>window.pwned=1;console.log('PWNED');new Image().src='${url}/ran'</script>`;
        const sent = await send(who, {
            subject: '"><script>window.pwned=1;console.log("PWNED subject")</script>',
            from: { name: '<img src=x onerror=console.log("PWNED")>', address: 'a@example.org' },
            text: script,
            attachments: [
                { filename: 'page.html', content: script, contentType: 'text/html' },
                { filename: 'image.svg', content: `<svg xmlns="http://www.w3.org/2000/svg">${script}</svg>`, contentType: 'image/svg+xml' },
                { filename: 'page.xhtml', content: script, contentType: 'application/xhtml+xml' },
                { filename: '"><script>console.log("PWNED name")</script>.txt', content: script }
            ]
        });
        const pub = `${web}/message/${/MSGID=([^\s\]]+)/.exec(sent.response)[1]}`;
        await login(page, who);
        await page.locator('.row').waitFor();
        await assertInert(page, seen, asked);
        for (const tab of ['text', 'headers', 'source', 'mime', 'attachments', 'envelope']) {
            await page.goto(`${pub}?tab=${tab}`);
            await assertInert(page, seen, asked);
        }
        await page.goto(`${pub}?tab=attachments`);
        const links = await page.locator('.files a').evaluateAll(all => all.map(a => a.href));
        assert.equal(links.length, 4);
        for (const link of links) {
            const tab = await context.newPage();
            // Navigating to a file is a download and no page.
            const [file] = await Promise.all([tab.waitForEvent('download'), tab.goto(link).catch(() => {})]);
            await file.cancel();
            assert.equal(tab.url(), 'about:blank', link);
            await tab.close();
        }
        await assertInert(page, seen, asked);
        await context.browser().close();
    }
});
