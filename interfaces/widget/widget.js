// One tag on any page: <script src="https://your-kefu/widget.js" async></script>
// Options as data attributes: data-identifier, data-identifier-hash, data-name, data-email, data-lang.
(() => {
  const script = document.currentScript;
  const origin = new URL(script.src).origin;
  const options = { ...script.dataset };
  const start = async () => {
    const { KefuWidget } = await import(`${origin}/widget/static/element.js`);
    if (!document.querySelector("kefu-widget")) document.body.append(new KefuWidget(origin, options));
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
