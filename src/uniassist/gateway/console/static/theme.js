// Before the first paint: what the person chose, else what the system says.
{
  const theme = localStorage.getItem("console.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
