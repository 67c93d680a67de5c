"""Thunderbird, without a screen, against the IMAP and SMTP ports: driven over Marionette, Mozilla's remote control, which
runs what an add-on could run. Nothing beyond the standard library."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from support import HOST, PASS, PATIENCE, USER, imap, inbox, kept, literals, mail, ok, port, submit

# It asks and fetches nothing by itself, and says on which port it listens in a file.
SETTINGS = {
    "marionette.port": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
}

# What the scripts below call.
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = () => MailServices.accounts.allServers.find(s => s.type == "imap");
const folder = name => server().rootFolder.descendants.find(f => f.name.toLowerCase() == name.toLowerCase());
const messages = name => [...folder(name).messages].sort((a, b) => a.messageKey - b.messageKey);
const finished = begin => new Promise((resolve, reject) => begin({
    OnStartRunningUrl() {},
    OnStopRunningUrl(url, status) { status ? reject(Error("status " + status.toString(16))) : resolve(); },
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
}));
const copied = begin => new Promise((resolve, reject) => begin({
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return ""; },
    onStopCopy(status) { status ? reject(Error("status " + status.toString(16))) : resolve(); },
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
}));
const update = name => finished(heard => folder(name).QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, heard));
const until = async holds => { while (!holds()) await new Promise(resolve => setTimeout(resolve, 20)); };
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
"""

ADD_ACCOUNT = """
const [user, password, imap, smtp] = args;
const keep = async (origin) => {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init(origin, null, origin, user, password, "", "");
    await Services.logins.addLoginAsync(login);
};
await keep("imap://127.0.0.1");
await keep("smtp://127.0.0.1");
const incoming = MailServices.accounts.createIncomingServer(user, "127.0.0.1", "imap");
incoming.port = imap;
incoming.socketType = Ci.nsMsgSocketType.plain;
incoming.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
incoming.password = password;
const outgoing = MailServices.outgoingServer.createServer("smtp");
outgoing.QueryInterface(Ci.nsISmtpServer);
outgoing.hostname = "127.0.0.1";
outgoing.port = smtp;
outgoing.username = user;
outgoing.socketType = Ci.nsMsgSocketType.plain;
outgoing.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
outgoing.password = password;
const identity = MailServices.accounts.createIdentity();
identity.email = user;
identity.smtpServerKey = outgoing.key;
const account = MailServices.accounts.createAccount();
account.addIdentity(identity);
account.incomingServer = incoming;
MailServices.accounts.defaultAccount = account;
incoming.performExpand(null);
await until(() => server().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.SentMail) && folder("INBOX"));
"""


class Thunderbird:
    """One that runs, with the account under test."""

    def __init__(self):
        self.profile = tempfile.mkdtemp()
        with open(os.path.join(self.profile, "user.js"), "w") as prefs:
            prefs.writelines(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in SETTINGS.items())
        self.log = open(os.path.join(self.profile, "log"), "w+")
        command = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
        self.process = subprocess.Popen(
            command + ["--profile", self.profile],
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "HOME": self.profile},
        )
        try:
            self.socket = socket.create_connection((HOST, self._marionette_port()), timeout=2 * PATIENCE)
            self.answers = self.socket.makefile("rb")
            self.asked = 0
            self._read()
            self._call("WebDriver:NewSession", {"capabilities": {}})
            self._call("WebDriver:SetTimeouts", {"script": PATIENCE * 1000})
            self._call("Marionette:SetContext", {"value": "chrome"})
            self.run(ADD_ACCOUNT, USER, PASS, port("imap"), port("smtp"))
        except BaseException:
            self.end()
            raise

    def _marionette_port(self):
        path, deadline = os.path.join(self.profile, "MarionetteActivePort"), time.monotonic() + 2 * PATIENCE
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise AssertionError(f"Thunderbird does not listen: {self.log.read()}")
            if os.path.exists(path):
                with open(path) as file:
                    if (text := file.read()).isdigit():
                        return int(text)
            time.sleep(0.02)

    def _read(self):
        length = b""
        while (byte := self.answers.read(1)) != b":":
            assert byte, "Thunderbird has hung up"
            length += byte
        return json.loads(self.answers.read(int(length)))

    def _call(self, command, parameters):
        self.asked += 1
        text = json.dumps([0, self.asked, command, parameters]).encode()
        self.socket.sendall(b"%d:%b" % (len(text), text))
        _, _, error, result = self._read()
        assert error is None, f"{command}: {error}"
        return result

    def run(self, script, *args):
        """What an asynchronous script returns, which has `args` and what PRELUDE defines."""
        wrapped = (
            "const args = [...arguments], done = args.pop();"
            f"(async () => {{ {PRELUDE} {script} }})()"
            ".then(value => done({ value: value ?? null }), error => done({ error: `${error} ${error.stack}` }));"
        )
        answer = self._call("WebDriver:ExecuteAsyncScript", {"script": wrapped, "args": list(args)})["value"]
        assert "error" not in answer, answer.get("error")
        return answer["value"]

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        finally:
            self.log.close()
            shutil.rmtree(self.profile, ignore_errors=True)


def fetched(client, name, items):
    """The messages of a mailbox as FETCH returns them, those that have a literal."""
    [count] = ok(client.select(name, readonly=True))
    found = ok(client.fetch("1:*", items)) if count != b"0" else []
    return [part for part in found if isinstance(part, tuple)]


def whole(client, name):
    """Every message of a mailbox with all its bytes."""
    return literals(fetched(client, name, "(BODY.PEEK[])"))


def flags_of(client, name):
    """The flags of every message in a mailbox, by its subject."""
    found = {}
    for before, header in fetched(client, name, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
        subject = header.decode().strip().removeprefix("Subject: ")
        words = before.decode().split("FLAGS (")[1].split(")")[0].split()
        found[subject] = {word for word in words if word != "\\Recent"}
    return found


def eventually(wanted, look):
    """Thunderbird tells the server when it likes: waits until a look shows what is wanted, or fails with what it shows."""
    deadline = time.monotonic() + PATIENCE
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} instead of {wanted}"
        time.sleep(0.05)


class Case(unittest.TestCase):
    def setUp(self):
        self.bodies = [mail(f"number {n}", f"Body of {n}, with \xe4\r\n..dots\r\n") for n in range(1, 5)]

    def start(self):
        thunderbird = Thunderbird()
        self.addCleanup(thunderbird.end)
        return thunderbird

    def submit_all(self):
        for content in self.bodies:
            submit(content)


class Reading(Case):
    def test_folders_and_messages_are_shown_with_every_byte(self):
        self.submit_all()
        thunderbird = self.start()
        special = thunderbird.run("""
            const flag = name => server().rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags[name])?.name;
            return ["Inbox", "SentMail", "Drafts", "Trash", "Junk"].map(flag);
        """)
        self.assertEqual([name.upper() for name in special], ["INBOX", "SENT", "DRAFTS", "TRASH", "JUNK"])
        listed = thunderbird.run("""
            await update("INBOX");
            return messages("INBOX").map(m => [m.subject, m.author, m.isRead]);
        """)
        self.assertEqual(listed, [[f"number {n}", "ann@example.org", False] for n in range(1, 5)])
        for at, content in enumerate(self.bodies):
            shown = thunderbird.run("""
                const uri = folder("INBOX").getUriForMsg(messages("INBOX")[args[0]]);
                const service = MailServices.messageServiceFromURI(uri);
                let text = "";
                await new Promise((resolve, reject) => service.streamMessage(uri, {
                    onStartRequest() {},
                    onStopRequest(request, status) { status ? reject(Error(status)) : resolve(); },
                    onDataAvailable(request, stream, offset, count) {
                        const input = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
                        input.setInputStream(stream);
                        text += input.readBytes(count);
                    },
                    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
                }, null, null, false, "", false));
                return text;
            """, at)
            # Of its own it puts its status lines before, and line breaks behind.
            shown = re.sub(r"^(X-Mozilla-[^\n]*\n)+", "", shown)
            self.assertEqual(shown.rstrip().encode("latin-1"), kept(content).rstrip())

    def test_a_delivery_shows_without_being_asked_for(self):
        thunderbird = self.start()
        # It idles in what it has selected.
        self.assertEqual(thunderbird.run('await update("INBOX"); return messages("INBOX").length;'), 0)
        submit(mail("news"))
        shown = thunderbird.run("""
            await until(() => messages("INBOX").length);
            return messages("INBOX").map(m => m.subject);
        """)
        self.assertEqual(shown, ["news"])


class Changing(Case):
    def test_flags_go_both_ways(self):
        self.submit_all()
        thunderbird, client = self.start(), imap()
        thunderbird.run("""
            await update("INBOX");
            const [one, two, three] = messages("INBOX");
            folder("INBOX").markMessagesRead([one, two], true);
            folder("INBOX").markMessagesFlagged([two], true);
            folder("INBOX").addKeywordsToMessages([three], "$label1");
        """)
        wanted = {
            "number 1": {"\\Seen"},
            "number 2": {"\\Seen", "\\Flagged"},
            "number 3": {"$label1"},
            "number 4": set(),
        }
        eventually(wanted, lambda: {k: {f for f in v if f != "NonJunk"} for k, v in flags_of(client, "INBOX").items()})
        ok(client.select("INBOX"))
        ok(client.store("2", "-FLAGS.SILENT", "(\\Flagged)"))
        ok(client.store("4", "+FLAGS.SILENT", "(\\Seen \\Answered $label2)"))
        shown = thunderbird.run("""
            await until(() => messages("INBOX")[3].isRead && !messages("INBOX")[1].isFlagged);
            return messages("INBOX").map(m => [m.isRead, m.isFlagged, m.getStringProperty("keywords").includes("$label")]);
        """)
        self.assertEqual(shown, [[True, False, False], [True, False, False], [False, False, True], [True, False, True]])

    def test_messages_are_copied_moved_and_deleted_both_ways(self):
        self.submit_all()
        thunderbird, client = self.start(), imap()
        thunderbird.run("""
            await update("INBOX");
            server().rootFolder.createSubfolder("Entwürfe & mehr", null);
            await until(() => folder("Entwürfe & mehr"));
            const [one, two, three] = messages("INBOX");
            const copy = (list, to, moves) => copied(heard =>
                MailServices.copy.copyMessages(folder("INBOX"), list, folder(to), moves, heard, null, false));
            await copy([one], "Entwürfe & mehr", false);
            await copy([two], "Entwürfe & mehr", true);
            await copied(heard => folder("INBOX").deleteMessages([three], null, false, false, heard, true));
        """)
        one, two, three, _ = [kept(content) for content in self.bodies]
        eventually([one, two], lambda: whole(client, '"Entw&APw-rfe &- mehr"'))
        eventually([three], lambda: whole(client, "Trash"))
        # A moved one may stay in INBOX until it expunges: what is left unmarked is what it shows.
        left = lambda: {subject for subject, flags in flags_of(client, "INBOX").items() if "\\Deleted" not in flags}
        eventually({"number 1", "number 4"}, left)

        ok(client.select("INBOX"))
        ok(client.store("1", "+FLAGS.SILENT", "(\\Deleted)"))
        ok(client.expunge())
        shown = thunderbird.run("""
            const visible = () => messages("INBOX").filter(m => !(m.flags & Ci.nsMsgMessageFlags.IMAPDeleted));
            await until(() => visible().length == 1);
            return visible().map(m => m.subject);
        """)
        self.assertEqual(shown, ["number 4"])


class Sending(Case):
    def test_a_mail_is_sent_and_kept_in_sent(self):
        thunderbird = self.start()
        thunderbird.run("""
            const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
            fields.from = args[0];
            fields.to = "bob@example.org";
            fields.subject = "Grüße";
            fields.body = "Sent by Thunderbird\\r\\n";
            fields.forcePlainText = true;
            const parameters = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
            parameters.composeFields = fields;
            parameters.format = Ci.nsIMsgCompFormat.PlainText;
            parameters.identity = MailServices.accounts.defaultAccount.defaultIdentity;
            const compose = Cc["@mozilla.org/messengercompose/compose;1"].createInstance(Ci.nsIMsgCompose);
            compose.initialize(parameters);
            const progress = Cc["@mozilla.org/messenger/progress;1"].createInstance(Ci.nsIMsgProgress);
            await compose.sendMsg(Ci.nsIMsgCompDeliverMode.Now, parameters.identity,
                MailServices.accounts.defaultAccount.key, null, progress);
        """, USER)
        eventually(1, lambda: len(inbox()))
        [caught] = inbox()
        self.assertIn(b"Sent by Thunderbird", caught)
        self.assertIn(b"Subject: =?UTF-8?", caught)
        client = imap()
        eventually({"=?UTF-8?B?R3LDvMOfZQ==?=": {"\\Seen"}}, lambda: flags_of(client, "Sent"))


if __name__ == "__main__":
    unittest.main()
