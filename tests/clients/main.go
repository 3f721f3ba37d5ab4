// What an app does with a client that is generated from the description: compiled, and run against a server whose URL is
// the first argument.
package main

import (
	"context"
	"fmt"
	"os"

	"example.org/inkpot"
)

const password = "correct horse battery staple"

func must(err error) {
	if err == nil {
		return
	}
	if refused, is := err.(*inkpot.GenericOpenAPIError); is {
		panic(err.Error() + ": " + string(refused.Body()))
	}
	panic(err)
}

func mustBe(what string, found, expected any) {
	if found != expected {
		panic(fmt.Sprintf("%s is %v, not %v", what, found, expected))
	}
}

// The problem that a call was refused with.
func problem(err error) inkpot.Problem {
	refused, is := err.(*inkpot.GenericOpenAPIError)
	if !is {
		panic(fmt.Sprintf("not refused: %v", err))
	}
	found, is := refused.Model().(inkpot.Problem)
	if !is {
		panic(fmt.Sprintf("no problem: %s", refused.Body()))
	}
	return found
}

func main() {
	configuration := inkpot.NewConfiguration()
	configuration.Servers = inkpot.ServerConfigurations{{URL: os.Args[1]}}
	client := inkpot.NewAPIClient(configuration)
	nobody := context.Background()
	users, posts := client.UsersAPI, client.PostsAPI

	registration := *inkpot.NewRegistration("ann@example.org", "Ann", password)
	registration.SetUsername("ann-smith")
	registered, _, err := users.Register(nobody).Registration(registration).Execute()
	must(err)
	mustBe("the role", registered.Userinfo.Role, inkpot.USER)
	_, _, err = users.Register(nobody).Registration(registration).Execute()
	taken := problem(err)
	mustBe("the code", taken.Code, "email_taken")
	mustBe("the second pointer", taken.Errors[1].Pointer, "/username")

	// By whichever name, and never without a password.
	login := inkpot.NewLogin(password)
	login.SetAccount("ann-smith")
	tokens, _, err := users.Login(nobody).Login(*login).Execute()
	must(err)
	as := func(token string) context.Context {
		return context.WithValue(nobody, inkpot.ContextAccessToken, token)
	}
	ann := as(tokens.Token)

	post := inkpot.NewPostInput("*world*", "Hello")
	post.SetStatus(inkpot.PUBLISHED)
	post.SetTags([]string{"first"})
	published, _, err := posts.Publish(ann).PostInput(*post).Execute()
	must(err)
	listed, _, err := posts.ListPosts(nobody).Tag([]string{"first"}).Size(5).Execute()
	must(err)
	mustBe("the count", listed.Pagination.GetCount(), int64(1))
	mustBe("the id", listed.Posts[0].PostId, published.PostId)
	patch := inkpot.NewPostPatch()
	patch.SetTitle("Hello again")
	changed, _, err := posts.ChangePost(ann, published.PostId).PostPatch(*patch).Execute()
	must(err)
	mustBe("the title", changed.Post.PostTitle, "Hello again")

	refresh := inkpot.NewRefresh()
	refresh.SetRefreshToken(tokens.GetRefreshToken())
	refreshed, _, err := users.Refresh(nobody).Refresh(*refresh).Execute()
	must(err)
	me, _, err := users.GetOwnUser(as(refreshed.Token)).Execute()
	must(err)
	mustBe("the name", me.Userinfo.Name, "Ann")
	out, err := users.Logout(as(refreshed.Token)).Execute()
	must(err)
	mustBe("the status", out.StatusCode, 204)
	_, _, err = users.GetOwnUser(as(refreshed.Token)).Execute()
	ended := problem(err)
	mustBe("the code", ended.Code, "session_ended")

	fmt.Println("all as described")
}
