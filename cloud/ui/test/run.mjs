// The courier's page in a real browser, as wide as a phone: node run.mjs LINK FOLDER PICTURE.
// LINK logs in, PICTURE shows the barcode of YZ2600000002, screenshots go to FOLDER. Whoever starts it opens cells of lk-qingshi when ordered to.
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [link, folder, picture] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];
const context = await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
const minute = 60_000;

async function tab(url) {
  const page = await context.newPage();
  page.setDefaultTimeout(minute);
  page.on("console", (m) => { if (m.type() === "error" && !/\b40[19]\b|\b422\b|ERR_INTERNET_DISCONNECTED/.test(m.text())) faults.push(m.text()); });
  page.on("pageerror", (e) => faults.push(String(e)));
  await page.goto(url);
  return page;
}
const shot = (page, name) => page.screenshot({ path: join(folder, `run-${name}.png`) });
const text = (page, id) => page.locator("#" + id).innerText();
const scanned = async (page, code) => { await page.locator("#code").fill(code); await page.keyboard.press("Enter"); };
const act = (page, name) => page.getByRole("tab", { name }).click();
const noted = (page, what) => page.locator(".said", { hasText: what }).waitFor();
const open = (page, name) => page.locator("nav").getByRole("button", { name }).click();
async function narrow(page) {
  const wide = await page.evaluate(() => [...document.querySelectorAll("body *")].filter((e) => !e.matches(".file") && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className || e.tagName));
  assert.deepEqual(wide, [], "nothing is wider than the phone");
}
const small = (page) => page.evaluate(() => [...document.querySelectorAll("main button, main .button, nav button, main input:not(.file), main select")].filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.textContent));

let first, second;
const steps = {
  async "somebody signs on to a run, and the page stays on the phone"() {
    first = await tab(link);
    assert.ok(!first.url().includes("token"), first.url());
    await first.locator("#badge").fill("c01");
    await first.locator("#run").selectOption("A1");
    await narrow(first);
    await shot(first, "signon");
    await first.getByRole("button", { name: "签到" }).click();
    await first.locator(".tally", { hasText: "/ 6" }).waitFor();
    await first.evaluate(() => navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller || new Promise((r) => navigator.serviceWorker.addEventListener("controllerchange", r))));
    await first.waitForFunction(() => document.getElementById("queue").textContent === "全部已发");
  },

  async "a scanner types, and the van is loaded"() {
    for (const n of [1, 2, 3]) {
      await scanned(first, `yz260000000${n}`);
      await noted(first, `YZ260000000${n} 已记录`);
    }
    await scanned(first, "YZ2600000003");
    await noted(first, "不重复");
    await scanned(first, "YZ2600000006");
    await noted(first, "暂扣件");
    await first.locator(".tally", { hasText: "3 / 6" }).waitFor();
    await first.waitForFunction(() => document.getElementById("queue").textContent === "全部已发");
    assert.deepEqual(await small(first), [], "thumbs find it");
    await shot(first, "load");
    await open(first, "清单");
    await first.locator(".rows li").first().waitFor();
    await narrow(first);
    await shot(first, "manifest");
  },

  async "with a link a cell opens, and its door tells"() {
    await open(first, "操作");
    await first.locator("#stop").selectOption("out-qingshi");
    await act(first, "入柜");
    await scanned(first, "YZ2600000001");
    await first.getByRole("button", { name: "开一个格口" }).click();
    await first.locator(".door.open").waitFor();
    await narrow(first);
    await shot(first, "door");
    await noted(first, "YZ2600000001 · ");
    await scanned(first, "YZ2600000004");
    await first.getByText("收件人未同意入柜").waitFor();
    await first.getByRole("button", { name: "不放了" }).click();
    await first.waitForFunction(() => document.getElementById("queue").textContent === "全部已发");
  },

  async "without a link the page opens in two tabs"() {
    second = await tab(first.url());
    await second.locator(".kinds").waitFor();
    await context.setOffline(true);
    for (const page of [first, second]) {
      await page.reload();
      await page.locator(".state.off").waitFor();
    }
    await first.locator(".tally").waitFor();
    assert.match(await text(first, "age"), /清单 .*前/);
    assert.match(await text(first, "synced"), /同步/);
  },

  async "a whole deposit without a link, by a picture of the label"() {
    for (const page of [first, second]) {
      await act(page, "入柜");
      await page.locator("#locker").selectOption("lk-qingshi");
      await page.locator(".ways input[type=file]").setInputFiles(picture);
      await page.getByText("由柜子决定").waitFor();
      assert.match(await page.locator(".big").innerText(), /^YZ2600000002$/);
      await page.locator("#cell").fill("15");
    }
    await narrow(first);
    await shot(first, "alone");
    await Promise.all([first, second].map((page) => page.getByRole("button", { name: "已放入 15 号格" }).click()));
    const said = await Promise.all([first, second].map((page) => page.locator(".said").innerText()));
    assert.equal(said.filter((s) => s.includes("不重复")).length, 1, `one tab notes it, the other says so: ${said}`);
  },

  async "other acts wait with it"() {
    await act(first, "卸车");
    await scanned(first, "YZ2600000003");
    await noted(first, "已记录");
    await act(first, "装袋");
    await first.locator("#bag").selectOption("bag-7");
    await scanned(first, "YZ2600000005");
    await noted(first, "bag-7");
    await act(first, "拒收");
    await scanned(first, "YZ2600000004");
    await first.getByRole("radio", { name: "外包装破损" }).click();
    await first.locator("input[capture]").setInputFiles(picture);
    await first.getByText(/照片 \d+ KB/).waitFor();
    await narrow(first);
    await shot(first, "refuse");
    await first.getByRole("button", { name: "记录", exact: true }).click();
    await noted(first, "YZ2600000004 已记录");
    await act(first, "清点");
    await first.locator("#counted").fill("2");
    await first.getByRole("button", { name: "记录", exact: true }).click();
    await noted(first, "相差 -1");
    await act(first, "卸车");
    await scanned(first, "NOBODY-KNOWS");
    await noted(first, "不在清单上");
    for (const page of [first, second]) await page.waitForFunction(() => document.getElementById("queue").textContent === "待发 6"); // between tries to send
    await open(first, "记录");
    await narrow(first);
    await shot(first, "log-offline");
  },

  async "when the link is back all is sent, once"() {
    await context.setOffline(false);
    for (const page of [first, second]) {
      await page.waitForFunction(() => /全部已发/.test(document.getElementById("queue").textContent));
      await page.locator(".state.on").waitFor();
    }
    await first.locator(".rows .refused .bad").first().waitFor();
    await first.getByText("1 条被拒").waitFor();
    await narrow(first);
    await shot(first, "log-sent");
  },

  async "in English, and in the dark"() {
    await first.emulateMedia({ colorScheme: "dark" });
    await first.getByRole("button", { name: "English" }).click();
    for (const name of ["List", "Work", "Log"]) {
      await open(first, name);
      const left = await first.evaluate(() => document.body.innerText.match(/[\u4e00-\u9fff]+/g)?.join(" ") ?? "");
      assert.match(left.replaceAll(/岭A?|中文|上午线/g, "").trim(), /^\s*$/, "untranslated: " + left);
      await narrow(first);
    }
    await open(first, "Work");
    await shot(first, "dark");
  },

  async "what one device sent twice is there once"() {
    const said = await first.evaluate(async () => {
      const db = await new Promise((r) => { const q = indexedDB.open("yizhan-run", 1); q.onsuccess = () => r(q.result); });
      const all = await new Promise((r) => { const q = db.transaction("acts").objectStore("acts").getAll(); q.onsuccess = () => r(q.result); });
      const acts = all.filter((a) => a.state === "done" && a.kind !== "refuse").map(({ state, why, seq, photo, ...a }) => a);
      const r = await fetch("/api/v1/run/acts", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ acts }) });
      return { n: acts.length, items: (await r.json()).items };
    });
    assert.equal(said.items.length, said.n);
    assert.ok(said.items.every((v) => v.status === "already"), JSON.stringify(said.items));
  },
};

try {
  for (const [name, step] of Object.entries(steps)) {
    await step();
    console.log("ok", name);
  }
  assert.deepEqual(faults, [], "the browser's own complaints, its content security policy's too");
} catch (e) {
  for (const page of [first, second]) if (page) console.log((await page.locator("body").innerText().catch(() => "gone")).slice(0, 1500));
  await first?.screenshot({ path: join(folder, "run-failed.png") }).catch(() => {});
  throw e;
} finally {
  await browser.close();
}
