// Shows the claims of one verdict, and the experiments of one name. Without it all are shown.
const filter = document.getElementById("filter");
const lists = filter.querySelectorAll("select");
const none = document.getElementById("none");
function apply() {
  const [verdict, experiment] = Array.from(lists, list => list.value);
  let shown = 0;
  for (const section of document.querySelectorAll("[data-experiment]")) {
    let claims = 0;
    for (const claim of section.querySelectorAll("[data-verdict]")) {
      claim.hidden = !["", claim.dataset.verdict].includes(verdict);
      claims += claim.hidden ? 0 : 1;
    }
    section.hidden = !["", section.dataset.experiment].includes(experiment) || (verdict !== "" ? claims === 0 : false);
    shown += section.hidden ? 0 : 1;
  }
  none.hidden = shown !== 0;
  if (experiment !== "") unfold(document.getElementById(experiment));
}
function unfold(element) {
  for (; element !== null; element = element.parentElement) {
    if (element.matches("details")) element.open = true;
  }
}
// A link to a claim that the filter hides shows all again.
function reveal() {
  const claim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (claim === null) return;
  if (claim.closest("[hidden]") !== null) {
    for (const list of lists) list.value = "";
    apply();
  }
  unfold(claim);
  claim.scrollIntoView();
}
filter.addEventListener("change", apply);
window.addEventListener("hashchange", reveal);
filter.hidden = false;
apply();
reveal();
