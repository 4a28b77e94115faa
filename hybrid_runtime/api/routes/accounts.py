"""Who uses the service: oneself, users and tokens."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from hybrid_runtime.api.answers import answer
from hybrid_runtime.api.bodies import TokenRequest, UserChange, UserRequest
from hybrid_runtime.api.guard import Guarded, Who
from hybrid_runtime.api.parts import ByUser, TheStore, TokenId, UserName
from hybrid_runtime.api.problems import refusals
from hybrid_runtime.resources.accounts import NewToken, Token, User, Whoami
from hybrid_runtime.resources.pages import Page

router = APIRouter(prefix="/v1", tags=["accounts"], route_class=Guarded)


@router.get(
    "/whoami",
    operation_id="whoami",
    summary="Ask who you are",
    response_model=Whoami,
    response_description="The user that the token speaks for, and the projects.",
)
def whoami(who: Who, store: TheStore) -> Response:
    """Whose token this is, what it may do, and when it expires."""
    return answer(store.accounts.whoami(who))


@router.get(
    "/users",
    operation_id="listUsers",
    summary="List users",
    response_model=Page[User],
    response_description="All users.",
    responses=refusals(403),
)
def users(who: Who, store: TheStore) -> Response:
    """Everybody who has an account; for operators."""
    return answer(Page(items=store.accounts.users(who)))


@router.post(
    "/users",
    operation_id="addUser",
    summary="Add a user",
    status_code=201,
    response_model=User,
    response_description="The user, who has no token yet.",
    responses=refusals(400, 403, 409, 413, 415),
)
def add_user(who: Who, store: TheStore, body: UserRequest) -> Response:
    """Make a user; for admins. A token for them is made next."""
    return answer(store.accounts.add_user(who, body), 201)


@router.patch(
    "/users/{name}",
    operation_id="changeUser",
    summary="Change a user",
    response_model=User,
    response_description="The user as changed.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def change_user(who: Who, store: TheStore, name: UserName, body: UserChange) -> Response:
    """Set a user's role, or disable the user: all tokens then stop at once. For admins."""
    return answer(store.accounts.set_user(who, name, role=body.role, disabled=body.disabled))


@router.get(
    "/tokens",
    operation_id="listTokens",
    summary="List tokens",
    response_model=Page[Token],
    response_description="Tokens, without their secrets.",
    responses=refusals(403, 404),
)
def tokens(who: Who, store: TheStore, user: ByUser = None) -> Response:
    """Your own tokens; those of others are for admins."""
    return answer(Page(items=store.accounts.tokens(who, user)))


@router.post(
    "/tokens",
    operation_id="addToken",
    summary="Make a token",
    status_code=201,
    response_model=NewToken,
    response_description="The token with its secret, which is shown this once.",
    responses=refusals(400, 403, 404, 409, 413, 415),
)
def add_token(who: Who, store: TheStore, body: TokenRequest) -> Response:
    """Make a token for yourself; for others it takes an admin."""
    return answer(store.accounts.add_token(who, body), 201)


@router.delete(
    "/tokens/{token_id}",
    operation_id="revokeToken",
    summary="Revoke a token",
    status_code=204,
    response_class=Response,
    response_description="It is not accepted any more.",
    responses=refusals(403, 404),
)
def revoke_token(who: Who, store: TheStore, token_id: TokenId) -> Response:
    """Make a token worthless, at once."""
    store.accounts.revoke_token(who, token_id)
    return Response(status_code=204)
