from django.urls import path

from messaging import views

ONE = "conversations/<uuid:conversation_id>"

urlpatterns = [
    path("conversations", views.ConversationList.as_view()),
    path(ONE, views.ConversationView.as_view()),
    path(f"{ONE}/messages", views.MessageList.as_view()),
    path(f"{ONE}/messages/<int:number>/report", views.ReportView.as_view()),
    path(f"{ONE}/read", views.ReadView.as_view()),
    path(f"{ONE}/archive", views.ArchiveView.as_view()),
    path(f"{ONE}/block", views.BlockView.as_view()),
]
