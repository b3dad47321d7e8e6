import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MasterKey } from "../../src/crypto/master-key.ts";
import { createMasterKeyFile, readMasterKeyFile } from "../../src/crypto/master-key-file.ts";
import {
  environmentProvider,
  fileProvider,
  loadMasterKeys,
  systemdProvider,
} from "../../src/crypto/master-key-providers.ts";
import { formatMasterKey, parseMasterKeys } from "../../src/crypto/master-key-text.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slots-keys-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(content: string, mode = 0o600): string {
  const path = join(folder, "master.key");
  writeFileSync(path, content, { mode });
  chmodSync(path, mode);
  return path;
}

test("a file that is made has mode 0600, says its key's id, and is read again", async () => {
  const path = join(folder, "master.key");
  const key = createMasterKeyFile(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toMatch(
    /^# .*mk_[0-9a-f]{20}.*\nslots-master-key-v1:[A-Za-z0-9_-]{48}\n$/,
  );
  expect((await fileProvider(path).load()).map(({ id }) => id)).toEqual([key.id]);
});

test("a file that exists is never touched", () => {
  const path = write("precious");
  expect(() => createMasterKeyFile(path)).toThrow(`${path} can't be made: it exists already`);
  expect(readFileSync(path, "utf8")).toBe("precious");
});

test("a known key has its known text and id", () => {
  const key = new MasterKey(Uint8Array.from({ length: 32 }, (_, index) => index));
  expect(formatMasterKey(key)).toBe("slots-master-key-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-btsu9");
  expect(key.id).toBe("mk_c6a6a0aea07ff9b8f337");
});

test("several keys, comments, blank lines and the line ends of Windows", () => {
  const [a, b] = [MasterKey.generate(), MasterKey.generate()];
  const text = `# the new one\r\n${formatMasterKey(a)} # primary\r\n\r\n  ${formatMasterKey(b)}\r\n`;
  expect(readMasterKeyFile(write(text)).map(({ id }) => id)).toEqual([a.id, b.id]);
});

test.each([0o640, 0o604, 0o660, 0o622, 0o644])("mode %o is refused, with the command that helps", (mode) => {
  const path = write(formatMasterKey(MasterKey.generate()), mode);
  expect(() => readMasterKeyFile(path)).toThrow(`chmod 600 ${path}`);
});

test("the command that helps can be pasted whatever the path", () => {
  const odd = join(folder, "it's a folder");
  mkdirSync(odd);
  writeFileSync(join(odd, "key"), "", { mode: 0o644 });
  chmodSync(join(odd, "key"), 0o644);
  expect(() => readMasterKeyFile(join(odd, "key"))).toThrow(`chmod 600 '${folder}/it'\\''s a folder/key'`);
});

test("what can't be read says which file and why", () => {
  const path = join(folder, "missing");
  expect(() => readMasterKeyFile(path)).toThrow(
    `master key file ${path} can't be read: there is no such file`,
  );
  expect(() => readMasterKeyFile(folder)).toThrow(`master key file ${folder}: not a regular file`);
  expect(() => readMasterKeyFile(write("#\n\n"))).toThrow("holds no master key");
  expect(() => readMasterKeyFile(write("x".repeat(70_000)))).toThrow("larger than 65536 bytes");
  expect(() => createMasterKeyFile(join(folder, "no", "such"))).toThrow(
    "can't be made: there is no such file",
  );
});

test("any one character wrong, cut or added is told by its line, and the key is not repeated", () => {
  const line = formatMasterKey(MasterKey.generate());
  const secret = line.slice("slots-master-key-v1:".length);
  for (let at = 0; at < line.length; at++) {
    const other = line[at] === "A" ? "B" : "A";
    for (const wrong of [
      line.slice(0, at) + other + line.slice(at + 1),
      line.slice(0, at) + line.slice(at + 1),
    ]) {
      let message = "";
      try {
        parseMasterKeys(`# comment\n${wrong}\n`, "here");
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toMatch(/^here, line 2: /);
      expect(message).not.toContain(secret.slice(8, 40));
    }
  }
  expect(() => parseMasterKeys(`${line}A`, "here")).toThrow("cut or mistyped");
});

test("the variable is gone from the environment once it was read", async () => {
  const [a, b] = [MasterKey.generate(), MasterKey.generate()];
  const environment = { KEYS: `${formatMasterKey(a)} ${formatMasterKey(b)}`, OTHER: "stays" };
  const provider = environmentProvider("KEYS", environment);
  expect((await provider.load()).map(({ id }) => id)).toEqual([a.id, b.id]);
  expect(environment).toEqual({ OTHER: "stays" });
  await expect(provider.load()).rejects.toThrow("environment variable KEYS is not set");
});

test("a variable that does not parse is gone all the same", async () => {
  const environment = { KEYS: "nonsense" };
  await expect(environmentProvider("KEYS", environment).load()).rejects.toThrow(
    "environment variable KEYS, line 1",
  );
  expect(environment).toEqual({});
});

test("a systemd credential is read from its folder, whatever its mode", async () => {
  const key = MasterKey.generate();
  writeFileSync(join(folder, "slots-key"), formatMasterKey(key), { mode: 0o440 });
  const environment = { CREDENTIALS_DIRECTORY: folder };
  expect((await systemdProvider("slots-key", environment).load()).map(({ id }) => id)).toEqual([key.id]);
  await expect(systemdProvider("slots-key", {}).load()).rejects.toThrow("LoadCredential=slots-key:PATH");
  await expect(systemdProvider("other", environment).load()).rejects.toThrow("there is no such file");
  for (const name of ["../x", "a/b", "..", ""]) {
    await expect(systemdProvider(name, environment).load()).rejects.toThrow("a systemd credential's name");
  }
});

test("keys of several providers keep their order", async () => {
  const [a, b] = [MasterKey.generate(), MasterKey.generate()];
  const environment = { KEY: formatMasterKey(b) };
  const keys = await loadMasterKeys([
    fileProvider(write(formatMasterKey(a))),
    environmentProvider("KEY", environment),
  ]);
  expect(keys.map(({ id }) => id)).toEqual([a.id, b.id]);
});
