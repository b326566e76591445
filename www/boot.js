// Starts the page, and says what is being fetched and how far, or why the engine cannot start and what to do, until the
// page's own module can speak. A plain script without newer syntax (`import()` is some), because it has to be read where
// modules, WebAssembly or workers are not known. Its sentences stand here: a catalogue would have to be fetched, too.
(() => {
  const SENTENCES = {
    en: {
      fetching: "Fetching the engine.",
      of: (bytes, total) => `Fetching the engine: ${bytes} of ${total} kB.`,
      soFar: (bytes) => `Fetching the engine: ${bytes} kB so far.`,
      slow: (seconds) => `Nothing new for ${seconds} s: the connection may be slow or interrupted. Still waiting.`,
      cannot: (why, remedy) => `The engine cannot start: ${why}. ${remedy} The figure below is recorded.`,
      again: "Try again",
      unloaded: (file, why) => `the file ${file} could not be loaded (${why})`,
      reload: "Try again once the connection is back; if it stays so, the page’s host has no whole copy of it.",
      fault: "Try again, or open the page in another browser.",
      update: "A recent Chrome, Edge, Safari or Firefox can run it.",
      file: "the page was opened as a file, and browsers load no modules from files",
      serve: "Serve its folder with a web server (from the sources, `cargo xtask serve`), and open the address that it names.",
      modules: "this browser knows no JavaScript modules",
      wasm: "WebAssembly is off in this browser, or it has none",
      allow: "Lockdown Mode and strict security settings switch it off: make an exception for this page, or open it in another browser.",
      simd: "this browser’s WebAssembly has no SIMD instructions",
      workers: "this browser offers no Web Workers",
    },
    de: {
      fetching: "Die Engine wird geladen.",
      of: (bytes, total) => `Die Engine wird geladen: ${bytes} von ${total} kB.`,
      soFar: (bytes) => `Die Engine wird geladen: bisher ${bytes} kB.`,
      slow: (seconds) => `Seit ${seconds} s nichts Neues: Die Verbindung ist vielleicht langsam oder unterbrochen. Es wird weiter gewartet.`,
      cannot: (why, remedy) => `Die Engine kann nicht starten: ${why}. ${remedy} Die Abbildung unten ist eine Aufzeichnung.`,
      again: "Noch einmal versuchen",
      unloaded: (file, why) => `Die Datei ${file} konnte nicht geladen werden (${why})`,
      reload: "Versuche es noch einmal, sobald die Verbindung wieder steht; bleibt es dabei, hat der Server keine ganze Kopie der Seite.",
      fault: "Versuche es noch einmal, oder öffne die Seite in einem anderen Browser.",
      update: "Ein neuerer Chrome, Edge, Safari oder Firefox kann sie ausführen.",
      file: "Die Seite wurde als Datei geöffnet, und aus Dateien laden Browser keine Module",
      serve: "Stelle ihren Ordner mit einem Webserver bereit (bei den Quellen mit `cargo xtask serve`), und öffne die Adresse, die er nennt.",
      modules: "Dieser Browser kennt keine JavaScript-Module",
      wasm: "WebAssembly ist in diesem Browser abgeschaltet oder fehlt ihm",
      allow: "Der Blockierungsmodus und strenge Sicherheitseinstellungen schalten es ab: Nimm diese Seite davon aus, oder öffne sie in einem anderen Browser.",
      simd: "Das WebAssembly dieses Browsers hat keine SIMD-Befehle",
      workers: "Dieser Browser bietet keine Web Worker an",
    },
  };
  const say = SENTENCES[document.documentElement.lang] || SENTENCES.en;
  const here = document.currentScript.src;
  const at = (file) => new URL(file, here).href;
  const badge = document.getElementById("badge");
  // The page without this script says that, too.
  badge.removeChild(document.getElementById("unstarted"));
  const STARTING = badge.textContent = badge.textContent.trim();
  const PATIENCE = 8; // seconds without a byte after which a line is called slow

  let [shown, progress, isOver, heard] = [STARTING, say.fetching, false, Date.now()];
  // Once the page writes into the badge by itself, nothing is left for this script to say.
  const tell = (text) => {
    isOver = isOver || badge.textContent !== shown;
    if (!isOver && text !== shown) badge.textContent = shown = text;
  };
  const watch = setInterval(() => {
    const seconds = Math.round((Date.now() - heard) / 1000);
    tell(seconds < PATIENCE ? progress : `${progress} ${say.slow(seconds)}`);
    if (isOver) clearInterval(watch);
  }, 250);

  const fail = (why, remedy) => {
    tell(shown);
    if (isOver) return;
    isOver = true;
    badge.textContent = "";
    const words = badge.appendChild(document.createElement("span"));
    words.setAttribute("role", "alert");
    words.textContent = `${say.cannot(why.replace(/^Uncaught |[.\s]+$/g, ""), remedy)} `;
    if (remedy !== say.reload && remedy !== say.fault) return;
    const again = badge.appendChild(document.createElement("button"));
    Object.assign(again, { type: "button", className: "plain", textContent: say.again, onclick: () => location.reload() });
  };

  // The smallest module with an instruction of SIMD in it.
  const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  if (location.protocol === "file:") return fail(say.file, say.serve);
  if (!("noModule" in HTMLScriptElement.prototype)) return fail(say.modules, say.update);
  if (typeof WebAssembly !== "object") return fail(say.wasm, say.allow);
  if (!WebAssembly.validate(new Uint8Array(SIMD))) return fail(say.simd, say.update);
  if (typeof Worker !== "function") return fail(say.workers, say.update);

  const told = (error) => [error.name, error.message].filter(Boolean).join(": "); // a DOMException may have a name alone
  const unloaded = (file, why) => new Error(say.unloaded(file.replace("../", ""), why.message || why.name || why));
  const get = (file) => new Promise((keep) => keep(fetch(at(file)))).catch((error) => { throw unloaded(file, error); })
    .then((answer) => { if (answer.ok) return answer; throw unloaded(file, `${answer.status} ${answer.statusText}`.trim()); });
  // A compressed answer tells its length as it travels, and its bytes are counted as they are.
  const count = (answer) => {
    const total = answer.headers.get("content-encoding") ? 0 : Number(answer.headers.get("content-length"));
    const reader = answer.body.getReader();
    let bytes = 0;
    const next = ({ done, value }) => {
      [heard, bytes] = [Date.now(), bytes + (done ? 0 : value.length)];
      const [kB, all] = [bytes, total].map((number) => Math.round(number / 1000));
      progress = done ? STARTING : bytes <= total ? say.of(kB, all) : say.soFar(kB);
      return done || reader.read().then(next);
    };
    reader.read().then(next).catch(() => {}); // whoever compiles the answer meets the same trouble, and tells it
  };
  const MODULE = "../pkg/klimb_bg.wasm";
  // The answer itself is compiled, and not what was read of it: beside that a browser keeps the machine code.
  const module = get(MODULE).then((answer) => {
    try { count(answer.clone()); } catch (error) { console.warn(error); } // how far it is need not be known
    const isStreamed = WebAssembly.compileStreaming && /^application\/wasm/.test(answer.headers.get("content-type"));
    return (isStreamed ? WebAssembly.compileStreaming(answer) : answer.arrayBuffer().then((bytes) => WebAssembly.compile(bytes)))
      .catch((error) => { throw unloaded(MODULE, error); });
  });
  module.catch((error) => fail(error.message, say.reload));
  const employ = (name) => {
    try { return new Worker(at("worker.js"), { type: "module", name }); } catch (error) { fail(`${say.workers}: ${told(error)}`, say.fault); throw error; }
  };
  // Compiled once, for the page and all its workers. What is pressed, chosen or dropped waits until there is a page to take it.
  const [waiting, broke] = [[], (trouble) => fail(told(trouble) || String(trouble), say.fault)];
  window.boot = { module, employ, broke, waiting, take: () => {} };
  for (const kind of ["click", "input", "change", "submit", "keydown", "dragover", "drop"]) document.addEventListener(kind, (event) => {
    const files = kind === "drop" && Array.from(event.dataTransfer.files); // which are out of reach afterwards
    if (/^dr/.test(kind) || kind === "submit" && event.target.method !== "dialog") event.preventDefault();
    if (kind !== "dragover") waiting.push((tell, load) => (files ? load(files) : tell("input", event)));
    window.boot.take();
  });

  // What goes wrong in the page's own scripts; a browser's extensions have errors, too.
  const isOurs = (places) => String(places).indexOf(at("..")) >= 0 || String(places).indexOf("wasm:") >= 0;
  addEventListener("error", ({ filename, error, message }) => { if (isOurs([filename, error && error.stack])) fail(error && told(error) || message, say.fault); });
  addEventListener("unhandledrejection", ({ reason: it }) => { if (it && isOurs(it.stack)) fail(told(it), say.fault); });
  const main = Object.assign(document.createElement("script"), { type: "module", src: at("main.js") });
  // The browser tells neither which file of a script is missing nor why.
  main.onerror = () => {
    const files = ["main.js", "../pkg/klimb.js"].map((file) => get(file).then((answer) => {
      if (!/javascript/.test(answer.headers.get("content-type"))) throw unloaded(file, `content-type ${answer.headers.get("content-type")}`);
    }));
    const unnamed = (error) => fail((error.message ? error : unloaded("main.js", "error")).message, say.reload);
    Promise.all(files).then(unnamed, unnamed);
    setTimeout(unnamed, 2000, {});
  };
  document.head.appendChild(main);

  // Play can be pressed: only now are the files kept for a visit without a network, so that this does not delay the start.
  const play = document.getElementById("play");
  const attempt = (work) => Promise.resolve().then(work).catch(() => {}); // where a browser forbids it, the page is as it was
  attempt(() => new MutationObserver((_, observer) => {
    if (play.disabled) return;
    observer.disconnect();
    attempt(() => navigator.serviceWorker.register(at("../service-worker.js")));
  }).observe(play, { attributes: true }));
})();
