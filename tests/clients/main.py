"""What a program does with a client that is generated from the description.

Run against a server whose URL is the first argument, with the folder of the package inkpot_client on the path.
"""

import sys

from inkpot_client import AuthenticatedClient, Client
from inkpot_client.api.posts import change_post, list_posts, publish
from inkpot_client.api.users import get_own_user, login, logout, refresh, register
from inkpot_client.models import (
    Login,
    PostInput,
    PostPatch,
    Problem,
    Refresh,
    Registration,
    Role,
    Status,
)

PASSWORD = "correct horse battery staple"
url = sys.argv[1]
client = Client(base_url=url)


def same(found, expected):
    assert found == expected, found


registration = Registration(email="ann@example.org", name="Ann", password=PASSWORD, username="ann-smith")
same(register.sync(client=client, body=registration).userinfo.role, Role.USER)
taken = register.sync(client=client, body=registration)
assert isinstance(taken, Problem), taken
same((taken.code, [error.pointer for error in taken.errors]), ("email_taken", ["/email", "/username"]))

# By whichever name, and never without a password.
login.sync(client=client, body=Login(email="ann@example.org", password=PASSWORD))
tokens = login.sync(client=client, body=Login(account="ann-smith", password=PASSWORD, remembered=True))
try:
    Login(account="ann-smith")
    raise AssertionError("a login without a password")
except TypeError:
    pass

own = AuthenticatedClient(base_url=url, token=tokens.token)
post = PostInput(title="Hello", content="*world*", status=Status.PUBLISHED, tags=["first"])
published = publish.sync(client=own, body=post)
listed = list_posts.sync(client=client, tag=["first"], size=5)
same((listed.pagination.count, listed.posts[0].post_id), (1, published.post_id))
changed = change_post.sync(published.post_id, client=own, body=PostPatch(title="Hello again"))
same(changed.post.post_title, "Hello again")

refreshed = refresh.sync(client=client, body=Refresh(refresh_token=tokens.refresh_token))
own = AuthenticatedClient(base_url=url, token=refreshed.token)
same(get_own_user.sync(client=own).userinfo.name, "Ann")
same(logout.sync_detailed(client=own).status_code, 204)
same(get_own_user.sync_detailed(client=own).status_code, 401)

print("all as described")
