// The service worker keeps the page that is shown while there is no network: templates/sw.js.
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js");
