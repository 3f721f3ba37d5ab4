// Before anything is drawn: whether somebody is logged in here, so that nothing jumps afterwards.
try {
    const user = JSON.parse(localStorage.getItem("inkpot.user"));
    if (user) document.documentElement.dataset.in = user.role;
} catch {
    // Without storage everybody is a guest until they log in.
}
// And whether somebody was sent to log in, who is told so.
if (new URLSearchParams(location.search).has("next")) document.documentElement.dataset.next = "";
