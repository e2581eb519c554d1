// The console in a real browser: node console.mjs LINK FOLDER. LINK logs in; screenshots go to FOLDER.
// Whoever starts it keeps vans moving, and answers orders to open a cell of lk-qingshi.
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [link, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];

async function open(options) {
  const context = await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("console", (m) => { if (m.type() === "error" && !/\b401\b/.test(m.text())) faults.push(m.text()); });
  page.on("pageerror", (e) => faults.push(String(e)));
  return page;
}

async function shot(page, name) {
  await page.waitForTimeout(900); // a glide and a fade
  await page.screenshot({ path: join(folder, name + ".png") });
}

const steps = {
  async "a stranger sees a door and no data"() {
    const page = await open();
    const asked = [];
    page.on("request", (r) => asked.push(r.url()));
    await page.goto(link.split("#")[0]);
    await page.getByRole("button", { name: "登录" }).waitFor();
    assert.ok(!asked.some((u) => u.includes("/api/")), "nothing is asked without a session");
    await page.getByLabel("令牌").fill("wrong");
    await page.getByRole("button", { name: "登录" }).click();
    await page.getByRole("alert").waitFor();
    await shot(page, "login");
    await page.context().close();
  },

  async "the link logs in, and the token leaves the address bar"() {
    const page = (globalThis.page = await open({ viewport: { width: 1400, height: 900 } }));
    await page.goto(link);
    await page.locator(".row").first().waitFor();
    assert.ok(!page.url().includes("token"), page.url());
    const cookies = await page.context().cookies();
    assert.ok(cookies[0].httpOnly && cookies[0].sameSite === "Strict");
    await page.reload();
    await page.locator(".row").first().waitFor(); // the session holds
    await page.getByText("实时").first().waitFor();
    assert.match(await page.locator(".banner").innerText(), /虚构县域.*×12/);
  },

  async "six vans are there, and move"() {
    const page = globalThis.page;
    assert.equal(await page.locator(".row").count(), 6);
    await page.locator(".row .state.moving").first().waitFor();
    const place = () => page.evaluate(() => ["v01", "v02", "v03"].map((id) => window.yizhanMap.pixel(id)));
    await page.waitForFunction(() => window.yizhanMap.pixel("v01"));
    const before = await place();
    await page.waitForFunction((b) => ["v01", "v02", "v03"].every((id, i) => {
      const p = window.yizhanMap.pixel(id);
      return Math.hypot(p[0] - b[i][0], p[1] - b[i][1]) > 1;
    }), before);
    await shot(page, "map");
  },

  async "a vehicle shows what is aboard, and its age"() {
    const page = globalThis.page;
    await page.locator('[data-id="v01"]').click();
    const detail = page.locator(".detail");
    await detail.getByText("岭A·20311").waitFor();
    assert.match(await detail.innerText(), /卫星授时/);
    await detail.locator(".chip").first().waitFor();
    await page.waitForTimeout(2500); // the camera and a piece of trail
    await shot(page, "vehicle");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".detail").count(), 0);
  },

  async "a parcel is found, and its timeline is evidence"() {
    const page = globalThis.page;
    await page.keyboard.press("/");
    await page.keyboard.type("yz2600000001");
    await page.locator('[data-id="YZ2600000001"]').waitFor();
    await page.keyboard.press("Enter");
    await page.locator(".detail h2", { hasText: "YZ2600000001" }).waitFor();
    const rows = page.locator(".evidence li");
    await rows.first().waitFor();
    assert.ok((await rows.count()) >= 3, "evidence");
    const text = await page.locator(".detail").innerText();
    for (const want of ["wh-1/dock-a", "次读取", "dBm", "到仓"]) assert.ok(text.includes(want), want + " in " + text);
    await shot(page, "parcel");
    await page.keyboard.press("/");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
  },

  async "a cell opens in three steps"() {
    const page = globalThis.page;
    await page.keyboard.press("2");
    await page.locator('[data-id="lk-qingshi"]').click();
    await page.locator('.cell[data-cell="7"]').click();
    await page.getByRole("button", { name: "开格" }).click();
    await page.getByRole("button", { name: "确认打开" }).click();
    await page.locator(".steps li.ok").nth(2).waitFor();
    assert.match(await page.locator(".steps").innerText(), /已受理[\s\S]*已下发到网关[\s\S]*已打开/);
    await page.locator(".door li.ok").nth(3).waitFor(); // the door is shut later, and that comes by itself
    assert.match(await page.locator(".door").innerText(), /网关已受理[\s\S]*脉冲已发出[\s\S]*门已打开[\s\S]*网络授时[\s\S]*门已关上/);
    assert.equal(await page.locator(".door li.wait").count(), 0);
    await shot(page, "locker");
    await page.keyboard.press("Escape");
  },

  async "a cold box that is too warm is told in red and words"() {
    const page = globalThis.page;
    await page.keyboard.press("3");
    const row = page.locator('[data-id="cb-v03"]');
    await row.getByText("超温").waitFor();
    await row.click();
    await page.locator(".curve").waitFor();
    await shot(page, "cold");
    await page.keyboard.press("Escape");
  },

  async "a waybill is announced, and what its address doesn't tell is settled"() {
    const page = globalThis.page;
    await page.getByRole("button", { name: "登记运单" }).click();
    await page.getByLabel("运单号").fill("YZ2600000101");
    await page.getByLabel("村 / 地址").fill("远山坳");
    await page.getByRole("button", { name: "提交运单" }).click();
    await page.getByText("地址没有匹配到服务站").first().waitFor();
    await shot(page, "waybill");
    await page.getByRole("button", { name: /^异常/ }).click();
    const wrong = page.locator(".letter.wrong", { hasText: "YZ2600000101" });
    await wrong.locator("select").selectOption("out-baihe");
    await page.locator(".letter.wrong.over", { hasText: "YZ2600000101" }).waitFor();
    await shot(page, "exceptions");
    await page.getByRole("button", { name: "短信箱" }).click();
    await page.locator(".view h2", { hasText: "短信箱" }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".view").count(), 0);
  },

  async "the keyboard reaches everything, in English too"() {
    const page = globalThis.page;
    await page.getByRole("button", { name: "English" }).click();
    await page.keyboard.press("1");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    assert.equal(await page.locator('.row[aria-selected="true"]').getAttribute("data-id"), "v02");
    await page.keyboard.press("k");
    assert.equal(await page.locator('.row[aria-selected="true"]').getAttribute("data-id"), "v01");
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    await page.keyboard.press("?");
    await page.locator("dialog[open]").waitFor();
    await shot(page, "help");
    await page.keyboard.press("Escape");
    await page.keyboard.press("f");
    const left = await page.evaluate(() => document.body.innerText.match(/[\u4e00-\u9fff]+/g)?.join(" ") ?? "");
    assert.match(left.replaceAll(/岭A?|中文/g, "").trim(), /^\s*$/, "untranslated: " + left);
    await page.keyboard.press("Escape");
  },

  async "when the link is lost the page says so, and ages go on"() {
    const page = globalThis.page;
    await page.context().setOffline(true);
    await page.locator(".link-state.reconnecting").waitFor({ timeout: 60_000 });
    await page.locator(".console.lost").waitFor();
    const age = () => page.locator(".row-right span").first().innerText();
    const before = await age();
    await page.waitForFunction((b) => document.querySelector(".row-right span").innerText !== b, before);
    await shot(page, "lost");
    await page.context().setOffline(false);
    await page.locator(".link-state.live").waitFor({ timeout: 30_000 });
    await page.context().close();
  },

  async "in the dark"() {
    const page = await open({ viewport: { width: 1400, height: 900 }, colorScheme: "dark" });
    await page.goto(link);
    await page.locator('[data-id="v02"]').click();
    await page.waitForTimeout(2000);
    await shot(page, "dark");
    await page.context().close();
  },

  async "on a phone nothing is wider than the screen"() {
    const page = await open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, reducedMotion: "reduce" });
    await page.goto(link);
    await page.locator(".row").first().waitFor();
    const wide = () => page.evaluate(() => [...document.querySelectorAll("body *")].filter((e) => !e.closest(".map") && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className || e.tagName));
    assert.deepEqual(await wide(), []);
    await shot(page, "phone");
    await page.locator('[data-id="v01"]').click();
    await page.locator(".detail .facts").waitFor();
    assert.deepEqual(await wide(), []);
    await shot(page, "phone-vehicle");
    await page.getByRole("button", { name: "关闭" }).click();
    await page.getByRole("tab", { name: /快递柜/ }).click();
    await page.locator('[data-id="lk-qingshi"]').click();
    await page.locator(".cabinet").waitFor();
    assert.deepEqual(await wide(), []);
    await shot(page, "phone-locker");
    await page.context().close();
  },
};

try {
  for (const [name, step] of Object.entries(steps)) {
    await step();
    console.log("ok", name);
  }
  const real = faults.filter((f) => !/ERR_INTERNET_DISCONNECTED|Failed to load resource.*(401|net::)/.test(f));
  assert.deepEqual(real, [], "the browser's own complaints, its content security policy's too");
} finally {
  await browser.close();
}
