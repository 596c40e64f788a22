// The periodic task page: the chosen crontab in words, under its field.
(() => {
  const data = document.getElementById("readable-crontabs");
  const select = document.getElementById("id_crontab");
  if (!data || !select) return;
  const readable = JSON.parse(data.textContent);
  const help = document.createElement("div");
  help.className = "help";
  select.closest(".field-crontab").append(help);
  const show = () => { help.textContent = readable[select.value] || ""; };
  select.addEventListener("change", show);
  show();
})();
