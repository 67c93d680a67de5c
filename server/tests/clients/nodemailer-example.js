// The example of Nodemailer's documentation: a test account, a mail, the address where it can be seen.
'use strict';
const nodemailer = require('nodemailer');

async function main() {
    const account = await nodemailer.createTestAccount();
    const transporter = nodemailer.createTransport({
        host: account.smtp.host,
        port: account.smtp.port,
        secure: account.smtp.secure,
        auth: { user: account.user, pass: account.pass }
    });
    const info = await transporter.sendMail({
        from: '"Fred Foo" <foo@example.com>',
        to: 'bar@example.com, baz@example.com',
        subject: 'Hello ✔',
        text: 'Hello world?',
        html: '<b>Hello world?</b>'
    });
    console.log('Message sent: %s', info.messageId);
    console.log('Preview URL: %s', nodemailer.getTestMessageUrl(info));
}

main().catch(err => {
    console.error(err);
    process.exit(1);
});
